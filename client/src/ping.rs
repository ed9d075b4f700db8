use http::Method;

use crate::transport::Call;
use crate::{ClientError, RegistryClient};

impl RegistryClient {
    /// Asks whether the registry accepts the credentials.
    ///
    /// # Errors
    /// [`ClientError::Unauthorized`] when it does not, and see [`ClientError`].
    pub async fn check_login(&self) -> Result<(), ClientError> {
        let call = Call::new(Method::GET, self.url().join(""), String::new(), "API".to_owned());
        self.transport.send(&call).await.map(drop)
    }
}
