//! The one trait a policy implements, and the macro that makes a component of it.

use crate::{Destination, Floor, Hop, Host, Message, Objections, Problem, Tried, Verdict};

/// A policy, configured.
///
/// Every hook must call `conclude` on its decision and return Ok: a decision without either is a failed decision,
/// which defers the message. That is the author's statement that all rules have run; the SDK never makes it for them.
/// Err is a failed decision too, its text goes to the log.
pub trait Policy: Sized + Send + Sync + 'static {
    /// Takes the settings, a JSON document, and finds everything that is wrong with them. Runs once; the instance is
    /// then snapshotted. `host` has lists and routes; nothing of them can be kept.
    fn configure(settings: &str, host: &impl Host) -> Result<Self, Vec<Problem>>;

    /// Once per message and group of recipients with equal effective settings, when its header is complete.
    fn receive(&self, message: &impl Message, host: &impl Host, verdict: &impl Verdict) -> Result<(), String>;

    /// Once per recipient and route in each round, before any name is looked up.
    fn plan(
        &self,
        message: &impl Message,
        destination: &impl Destination,
        host: &impl Host,
        floor: &impl Floor,
    ) -> Result<(), String>;

    /// Once per message and host, when its channel is known, on warm connections and resumed sessions too.
    fn judge(
        &self,
        message: &impl Message,
        hop: &impl Hop,
        host: &impl Host,
        objections: &impl Objections,
    ) -> Result<(), String>;

    /// Which rules [`Policy::receive`] tries on these facts and why they hold or do not, for whoever asks. Nobody asks in a
    /// decision, and nothing that is said here changes one. Let both go through one place, so that they cannot disagree:
    /// [`Said`](crate::Said) tells what the hook itself says. Empty: this policy does not tell.
    fn explain_receive(&self, _message: &impl Message, _host: &impl Host) -> Result<Vec<Tried>, String> {
        Ok(Vec::new())
    }

    /// The same of [`Policy::plan`].
    fn explain_plan(
        &self,
        _message: &impl Message,
        _destination: &impl Destination,
        _host: &impl Host,
    ) -> Result<Vec<Tried>, String> {
        Ok(Vec::new())
    }

    /// The same of [`Policy::judge`].
    fn explain_judge(&self, _message: &impl Message, _hop: &impl Hop, _host: &impl Host) -> Result<Vec<Tried>, String> {
        Ok(Vec::new())
    }
}

/// Exports a [`Policy`] as the component's policy. Native builds export nothing.
#[macro_export]
macro_rules! export_policy {
    ($policy:ty) => {
        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, reason = "generated exports")]
        const _: () = {
            static CONFIGURED: $crate::component::Configured<$policy> = $crate::component::Configured::new();

            struct Component;

            impl $crate::component::Component for Component {
                type Policy = $policy;
                fn configured() -> &'static $crate::component::Configured<$policy> {
                    &CONFIGURED
                }
            }

    $crate::bindings::export!(Component with_types_in $crate::bindings);
        };
    };
}
