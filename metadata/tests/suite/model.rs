use super::fixtures::*;

pub async fn random_operations_agree_with_a_simple_model(store: Store) {
    store.ping().await.unwrap();
}
