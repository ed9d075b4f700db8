use berth_metadata::TreeEntry;

use crate::suite::fixtures::*;

pub async fn all_entries_are_told_once_and_in_order(store: Store, upkeep: Upkeep) {
    for name in ["app", "other"] {
        for content in ["one", "two"] {
            push_blob(&store, name, content).await;
        }
        push_manifest(&store, tagged(name, "image", &["1", "2"])).await;
    }
    let (mut after, mut all) = (None, Vec::new());
    loop {
        let page = upkeep.tree_entries(after, 1).await.unwrap();
        let Some((last, _)) = page.last() else { break };
        after = Some(last.clone());
        all.extend(page.into_iter().map(|(_, entry)| entry));
    }
    let names = ["app", "other"].map(repository);
    let image = digest("image");
    let mut expected = Vec::new();
    for name in &names {
        let blob = |content| TreeEntry::Blob(name.clone(), digest(content));
        expected.extend(["one", "two"].map(blob));
    }
    expected.extend(names.iter().map(|name| TreeEntry::Manifest(name.clone(), image)));
    for name in &names {
        let entry = |text| TreeEntry::Tag(name.clone(), tag(text), image);
        expected.extend(["1", "2"].map(entry));
    }
    assert_eq!(all, expected);
}
