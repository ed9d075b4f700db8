//! Lists show what the caller may read.

use anyhow::{Result, ensure};
use berth_tests::wire::get;

use super::{GRANTS, HTPASSWD, PasswordFile, ask_token, by, token_of, with_token};
use crate::api::Api;

#[test]
fn the_catalog_has_what_its_caller_may_read_page_by_page() -> Result<()> {
    let file = PasswordFile::of(&["alice", "bob"])?;
    let grants = "['anyone reader public/**', 'user:alice reader team/a*', 'user:bob reader **']";
    let filling = Api::on_files(&[])?;
    for name in ["a/x", "public/p", "team/a1", "team/a2", "team/a3", "team/b1", "z/x"] {
        filling.push_image(name, "v1", 1)?;
    }
    let settings = [(HTPASSWD, file.setting()), (GRANTS, grants.to_owned())];
    let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let api = filling.restart(&settings)?;
    let all = ["a/x", "public/p", "team/a1", "team/a2", "team/a3", "team/b1", "z/x"];
    let alices = ["public/p", "team/a1", "team/a2", "team/a3"];
    for (caller, expected) in [("alice", &alices[..]), ("bob", &all[..])] {
        for n in [1, 2, 3, 100] {
            let mut target = format!("/v2/_catalog?n={n}");
            let mut found: Vec<String> = Vec::new();
            loop {
                let answer = api.send(&by(caller, get(&target)))?.expect(200)?;
                let page = answer.json()?["repositories"].clone();
                let page: Vec<String> = serde_json::from_value(page)?;
                ensure!(page.len() <= n, "{page:?}");
                found.extend(page);
                match answer.next_page()? {
                    Some(next) => {
                        let named = all.iter().find(|name| next.contains(&format!("last={name}&")));
                        ensure!(
                            named.is_none_or(|name| expected.contains(name)),
                            "{caller} is told of {next}"
                        );
                        target = next;
                    }
                    None => break,
                }
            }
            ensure!(found == expected, "{caller}, {n} at a time: {found:?}");
        }
    }
    // Whoever has not logged in gets a token for it, and sees what is public.
    let token = token_of(ask_token(&api, "anonymous", "scope=registry:catalog:*")?)?;
    let answer = api.send(&with_token(&token, get("/v2/_catalog")))?.expect(200)?;
    ensure!(answer.json()?["repositories"] == serde_json::json!(["public/p"]), "{answer:?}");
    // One that is for something else is no token for lists.
    let token = token_of(ask_token(&api, "bob", "scope=repository:a/x:pull")?)?;
    let refused = api.send(&with_token(&token, get("/v2/_catalog")))?;
    ensure!(refused.status == 401, "{refused:?}");
    Ok(())
}
