//! Previews say how many streams a change cuts, as gateways report them.

use std::time::Duration;

use countersign_testca::Minted;
use countersign_types::preview::{Effect, TrustChange};
use tokio::time::timeout;

use crate::{
    changes::{open_events, open_socket},
    denied::{of_leaf, request},
    world::{LIMIT, World},
};

async fn preview(world: &World, leaf: &Minted) -> Effect {
    let change = TrustChange::CreateDenial(request(of_leaf(leaf)));
    let found = world.api.preview_changes(&[change]).await.unwrap();
    found.value.effect
}

/// Waits until a preview says that this many streams would be cut, and that whose they are is known of all.
async fn until(world: &World, leaf: &Minted, streams: u64) -> Effect {
    let reported = async {
        loop {
            let effect = preview(world, leaf).await;
            let found = effect.streams;
            if found.is_some_and(|found| (found.cut, found.unknown) == (streams, 0)) {
                return effect;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(LIMIT, reported)
        .await
        .expect("the streams to be reported")
}

#[tokio::test]
async fn a_preview_counts_the_streams_that_a_denial_would_cut() {
    let mut world = World::with(|options| {
        options.observations = true;
        options.observation_interval = Duration::from_millis(20);
    })
    .await;
    let (_, other) = world.with_active_ca().await;
    let denied = world.ca.leaf("laptop").mint();
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut events = world.tls(&[&denied]).connect(world.address()).await;
        open_events(&world, &mut events).await;
        open.push(events);
    }
    let mut socket = world.tls(&[&denied]).connect(world.address()).await;
    open_socket(&world, &mut socket).await;
    let mut others = world.tls(&[&other]).connect(world.address()).await;
    open_events(&world, &mut others).await;

    let effect = until(&world, &denied, 3).await;
    assert_eq!(effect.starts_to_fail.len(), 1);
    assert_eq!(effect.starts_to_fail[0].streams, Some(3));
    assert_eq!(effect.streams.unwrap().silent_gateways, 0);
    assert_eq!(
        until(&world, &other, 1).await.starts_to_fail[0].streams,
        Some(1)
    );

    drop(open);
    until(&world, &denied, 1).await;
    drop((socket, others));
    // What is gone reports nothing any more.
    world.stop().await;
    assert_eq!(preview(&world, &denied).await.streams, None);
}
