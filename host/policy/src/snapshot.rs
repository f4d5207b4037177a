//! Takes a configured instance's memory and globals, and makes them the start state of a new component.
//!
//! Wizer asks for them through functions it added to the component; this file answers without a runtime, and keeps an
//! error where wizer has no place for one.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use wasmtime::component::{Instance, Lift, WasmList};
use wasmtime::{Store, error::Context as _};
use wasmtime_wizer::{ComponentContext, ComponentInstanceState, Wizer};

use crate::limits;
use crate::state::State;

/// The snapshot, as a component. Err: why there can be none.
pub(crate) fn take(
    wizer: &Wizer,
    context: &ComponentContext<'_>,
    store: &mut Store<State>,
    instance: Instance,
) -> Result<Vec<u8>, String> {
    // A memory is read in one piece.
    store.set_hostcall_fuel(limits::MEMORY_MAX * 2);
    let mut source = Source { store, instance, error: None };
    let taken = {
        let mut taking = pin!(wizer.snapshot_component(context, &mut source));
        match taking.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(taken) => taken.map_err(|error| format!("{error:#}")),
            Poll::Pending => Err("the snapshot waits for something".to_owned()),
        }
    };
    match source.error {
        None => taken,
        Some(error) => Err(format!("{error:#}")),
    }
    .map_err(|error| limits::bounded(&error, limits::DETAIL_OCTETS))
}

struct Source<'a> {
    store: &'a mut Store<State>,
    instance: Instance,
    error: Option<wasmtime::Error>,
}

impl Source<'_> {
    fn call<R: Lift + Send + Sync + 'static, T>(
        &mut self,
        interface: &str,
        function: &str,
        read: impl FnOnce(&Store<State>, R) -> T,
    ) -> Option<T> {
        match self.try_call(interface, function) {
            Ok(value) => Some(read(self.store, value)),
            Err(error) => {
                self.error.get_or_insert(error);
                None
            }
        }
    }

    fn try_call<R: Lift + Send + Sync + 'static>(&mut self, interface: &str, function: &str) -> wasmtime::Result<R> {
        let store = &mut *self.store;
        let of = self.instance.get_export_index(&mut *store, None, interface).context("no accessors")?;
        let function = self.instance.get_export_index(&mut *store, Some(&of), function).context("no such accessor")?;
        let function = self.instance.get_typed_func::<(), (R,)>(&mut *store, function)?;
        Ok(function.call(&mut *store, ())?.0)
    }
}

impl ComponentInstanceState for Source<'_> {
    async fn call_func_ret_list_u8(&mut self, interface: &str, function: &str, contents: impl FnOnce(&[u8]) + Send) {
        let mut contents = Some(contents);
        self.call(interface, function, |store, list: WasmList<u8>| {
            contents.take().map(|contents| contents(list.as_le_slice(store)))
        });
        // Wizer counts memories by calls; the error above makes the result void.
        if let Some(contents) = contents {
            contents(&[]);
        }
    }

    async fn call_func_ret_s32(&mut self, interface: &str, function: &str) -> i32 {
        self.call(interface, function, |_, value| value).unwrap_or_default()
    }

    async fn call_func_ret_s64(&mut self, interface: &str, function: &str) -> i64 {
        self.call(interface, function, |_, value| value).unwrap_or_default()
    }

    async fn call_func_ret_f32(&mut self, interface: &str, function: &str) -> u32 {
        self.call(interface, function, |_, value: f32| value.to_bits()).unwrap_or_default()
    }

    async fn call_func_ret_f64(&mut self, interface: &str, function: &str) -> u64 {
        self.call(interface, function, |_, value: f64| value.to_bits()).unwrap_or_default()
    }
}
