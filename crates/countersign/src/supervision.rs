//! What a service manager is told, where one runs this: systemd's protocol, `sd_notify(3)`. Elsewhere
//! nothing is.

use sd_notify::NotifyState;

/// How many times within the manager's limit a sign of life is given.
const SIGNS_PER_LIMIT: u32 = 3;

/// Says that requests are answered, also after a reload.
pub(crate) fn ready() {
    say(NotifyState::Ready);
}

/// Says that the configuration is being read again.
pub(crate) fn reloading() {
    say(NotifyState::Reloading);
}

/// Says that this process is ending.
pub(crate) fn stopping() {
    say(NotifyState::Stopping);
}

/// Gives signs of life while this is so, if the manager wants any. Without them it starts the process
/// again.
pub(crate) async fn give_signs_of_life(is_alive: impl Fn() -> bool) {
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return;
    };
    let mut ticks = tokio::time::interval(limit / SIGNS_PER_LIMIT);
    loop {
        ticks.tick().await;
        if is_alive() {
            say(NotifyState::Watchdog);
        }
    }
}

fn say(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "cannot tell the service manager how this process fares");
    }
}
