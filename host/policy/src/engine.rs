//! The two engines: one runs decisions from a pool of slots, one runs `configure` while a generation is built.
//!
//! Both are deterministic: NaNs are canonical, relaxed SIMD is not relaxed, there are no threads. They are apart so that
//! a build never takes a slot from the mail path, and need not spend time on optimising code that runs once.

use wasmtime::component::{HasSelf, Linker};
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, WasmFeatures};

use crate::bindings::Policy;
use crate::limits;
use crate::state::State;
use crate::wasi;

/// An engine, and what it lets a guest import.
pub(crate) struct Runtime {
    pub(crate) engine: Engine,
    pub(crate) linker: Linker<State>,
}

/// How instances get their memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Allocation {
    pub(crate) pooling: bool,
    pub(crate) pagemap_scan: bool,
}

/// The engine decisions run in: from a pool if this machine lets us have one, else on demand.
pub(crate) fn decisions(slots: u32, pooling: bool, pagemap_scan: bool) -> wasmtime::Result<(Runtime, Allocation)> {
    // Linux 6.7 and later; only asked for where it works, so that status tells which path runs.
    let pagemap_scan = pagemap_scan && PoolingAllocationConfig::is_pagemap_scan_available();
    if pooling {
        let mut config = common();
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(slots, pagemap_scan)));
        match Engine::new(&config) {
            Ok(engine) => return Ok((runtime(engine)?, Allocation { pooling, pagemap_scan })),
            Err(error) => tracing::warn!("no pool of sandboxes, they are made on demand: {error:#}"),
        }
    }
    let runtime = runtime(Engine::new(&common())?)?;
    Ok((runtime, Allocation { pooling: false, pagemap_scan: false }))
}

/// The engine `configure` runs in.
pub(crate) fn builds() -> wasmtime::Result<Runtime> {
    let mut config = common();
    config.cranelift_opt_level(OptLevel::None);
    runtime(Engine::new(&config)?)
}

fn runtime(engine: Engine) -> wasmtime::Result<Runtime> {
    let mut linker = Linker::new(&engine);
    Policy::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
    wasi::offer(&mut linker)?;
    Ok(Runtime { engine, linker })
}

fn common() -> Config {
    let mut config = Config::new();
    config.epoch_interruption(true);
    config.max_wasm_stack(limits::STACK);
    config.cranelift_nan_canonicalization(true);
    config.relaxed_simd_deterministic(true);
    config.wasm_features(WasmFeatures::THREADS, false);
    // Whatever fits the memory limit becomes an image, shared copy-on-write.
    config.memory_guaranteed_dense_image_size(limits::MEMORY_MAX as u64);
    config
}

fn pool(slots: u32, pagemap_scan: bool) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(slots)
        .total_core_instances(slots.saturating_mul(limits::CORE_INSTANCES))
        .total_memories(slots.saturating_mul(limits::MEMORIES))
        .total_tables(slots.saturating_mul(limits::CORE_INSTANCES))
        .max_core_instances_per_component(limits::CORE_INSTANCES)
        .max_memories_per_component(limits::MEMORIES)
        .max_tables_per_component(limits::CORE_INSTANCES)
        .max_component_instance_size(4 << 20)
        .max_core_instance_size(4 << 20)
        .table_elements(limits::TABLE_ELEMENTS)
        .max_memory_size(limits::MEMORY_MAX)
        .linear_memory_keep_resident(limits::KEEP_RESIDENT)
        .table_keep_resident(limits::KEEP_RESIDENT)
        .pagemap_scan(if pagemap_scan { Enabled::Yes } else { Enabled::No });
    pool
}
