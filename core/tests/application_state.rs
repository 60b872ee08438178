//! State, against a server in process.

mod application_support;

use std::collections::BTreeMap;

use application_support::Server;
use perper::{Agent, Error, ErrorKind, Result};

async fn visit(name: String) -> Result<u64> {
    let state = perper::state()?;
    loop {
        let before: Option<u64> = state.get(&name).await?;
        let written = match before {
            None => state.set_if_absent(&name, &1u64).await?,
            Some(visits) => state.replace_if_equal(&name, &visits, &(visits + 1)).await?,
        };
        if written {
            return Ok(before.unwrap_or(0) + 1);
        }
    }
}

#[tokio::test]
async fn each_instance_has_its_own() -> Result<()> {
    let server = Server::start().await;
    let agent = Agent::builder("Guests").delegate("Visit", visit).start_with(server.settings()).await?;
    let client = server.client().await;
    let (one, ()) = client.start_agent("Guests", ()).await?;
    let (other, ()) = client.start_agent("Guests", ()).await?;
    let visits = (0..20).map(|_| {
        perper::spawn({
            let (client, one) = (client.clone(), one.clone());
            async move { client.call_agent::<u64>(&one, "Visit", "ann").await }
        })
    });
    let mut seen = Vec::new();
    for visit in visits.collect::<Vec<_>>() {
        seen.push(visit.await.map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))??);
    }
    seen.sort_unstable();
    assert_eq!(seen, (1..=20).collect::<Vec<_>>());
    assert_eq!(client.call_agent::<u64>(&other, "Visit", "ann").await?, 1);
    agent.shutdown().await
}

#[tokio::test]
async fn a_dictionary_does_what_it_says() -> Result<()> {
    let server = Server::start().await;
    let client = server.client().await;
    client
        .scope(async {
            let dictionary = perper::dictionary().create_now()?;
            assert_eq!(dictionary.get::<i64>("a").await?, None);
            dictionary.set("a", &1).await?;
            assert!(!dictionary.set_if_absent("a", &2).await?);
            assert!(dictionary.set_if_absent("b", &2).await?);
            assert_eq!(dictionary.get_and_replace("a", &10).await?, Some(1));
            assert_eq!(dictionary.get_and_replace("z", &10).await?, None);
            assert!(!dictionary.contains("z").await?);
            assert!(!dictionary.replace_if_equal("a", &1, &2).await?);
            assert!(dictionary.replace_if_equal("a", &10, &11).await?);
            let applied = dictionary.batch().set("c", &3).remove_if_equal("b", &99).apply().await?;
            assert!(!applied && !dictionary.contains("c").await?);
            assert!(dictionary.batch().set("c", &3).remove_if_equal("b", &2).apply().await?);
            let entries: BTreeMap<String, i64> = dictionary.entries().collect().await?;
            assert_eq!(entries, BTreeMap::from([("a".into(), 11), ("c".into(), 3)]));
            assert_eq!(dictionary.get_and_remove::<i64>("a").await?, Some(11));
            assert!(!dictionary.remove("a").await?);
            assert_eq!(dictionary.count().await?, 1);
            dictionary.clear().await?;
            for key in 0..1000i64 {
                dictionary.set((key, "of many"), &key).await?;
            }
            let entries: BTreeMap<(i64, String), i64> = dictionary.entries().collect().await?;
            assert_eq!(entries.len(), 1000);
            dictionary.destroy().await?;
            let error = dictionary.get::<i64>("a").await.expect_err("it is gone");
            assert_eq!(error.kind(), ErrorKind::NotFound);
            Ok::<_, Error>(())
        })
        .await
}

#[tokio::test]
async fn a_list_does_what_it_says() -> Result<()> {
    let server = Server::start().await;
    let client = server.client().await;
    client
        .scope(async {
            let list = perper::list().create_now()?;
            assert_eq!(list.pop::<String>().await?, None);
            for (index, element) in ["a", "b", "c"].into_iter().enumerate() {
                assert_eq!(list.add(element).await?, index as u64);
            }
            list.insert_at(1, "x").await?;
            list.set_at(0, "A").await?;
            assert_eq!(list.elements::<String>().collect::<Vec<_>>().await?, ["A", "x", "b", "c"]);
            assert_eq!((list.index_of("b").await?, list.index_of("q").await?), (Some(2), None));
            assert!(list.contains("c").await? && list.remove("c").await? && !list.remove("c").await?);
            assert_eq!(list.get_at::<String>(1).await?, "x");
            assert_eq!(list.remove_at::<String>(1).await?, "x");
            assert_eq!(list.dequeue::<String>().await?.as_deref(), Some("A"));
            assert_eq!(list.pop::<String>().await?.as_deref(), Some("b"));
            assert_eq!(list.count().await?, 0);
            let error = list.get_at::<String>(5).await.expect_err("it is empty");
            assert_eq!(error.kind(), ErrorKind::IndexOutOfRange);
            Ok::<_, Error>(())
        })
        .await
}
