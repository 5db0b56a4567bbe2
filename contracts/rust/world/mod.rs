//! An in-process EVM in which a suite lives.
//!
//! A [`World`] is a chain without consensus: whoever calls is believed, gas is free, blocks appear on demand. Contract
//! code runs unchanged under the rules of Prague, which the L2s that Tandem is deployed to follow. A world is a value:
//! [`Clone`] it, or take a [`World::snapshot`] and go back.

mod deploy;
mod outcome;
mod tokens;
mod trace;

use std::convert::Infallible;

use alloy::{
    primitives::{Address, B256, Bytes, Log, TxKind, U256, keccak256},
    sol_types::SolCall,
};
use alloy_signer_local::PrivateKeySigner;
use revm::{
    Context, Database, DatabaseCommit, DatabaseRef, ExecuteEvm, InspectEvm, MainBuilder, MainContext,
    context::{
        BlockEnv, TxEnv,
        result::{EVMError, ExecutionResult, InvalidTransaction, Output},
    },
    database::{CacheDB, EmptyDB, WrapDatabaseRef},
    handler::MainnetContext,
    primitives::hardfork::SpecId,
    state::{AccountInfo, Bytecode, EvmState},
};

pub use deploy::{DeployError, Execution};
pub use outcome::{Outcome, Revert};
pub use trace::{GasTrace, Spent, Work};

use crate::suite::{CREATE2_FACTORY, CREATE2_FACTORY_CODE};

/// Gas that a transaction may use, and a block holds.
const GAS_LIMIT: u64 = 60_000_000;
/// First block's time: any instant long after 1970 serves, a fixed one makes runs repeatable.
const FIRST_TIMESTAMP: u64 = 1_800_000_000;

/// A chain in memory.
#[derive(Clone, Debug)]
pub struct World {
    state: CacheDB<EmptyDB>,
    chain_id: u64,
    number: u64,
    timestamp: u64,
    logs: Vec<Emitted>,
}

/// An event as a block holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emitted {
    /// Number of the block.
    pub block: u64,
    /// Time of the block, seconds since 1970.
    pub timestamp: u64,
    /// Who emitted what.
    pub log: Log,
}

/// A state that a world can go back to.
#[derive(Clone, Debug)]
pub struct Snapshot(World);

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// A world with chain id 31337 that holds nothing but the CREATE2 factory that every chain has.
    pub fn new() -> Self {
        Self::with_chain_id(31_337)
    }

    /// The same with another chain id.
    pub fn with_chain_id(chain_id: u64) -> Self {
        let mut world = Self {
            state: CacheDB::new(EmptyDB::new()),
            chain_id,
            number: 1,
            timestamp: FIRST_TIMESTAMP,
            logs: Vec::new(),
        };
        world.set_code(CREATE2_FACTORY, CREATE2_FACTORY_CODE.into());
        world
    }

    /// The key of the account of this name; the same in every world.
    pub fn signer(&self, name: &str) -> PrivateKeySigner {
        PrivateKeySigner::from_bytes(&keccak256(name)).expect("no name is known that hashes to an invalid key")
    }

    /// The account of this name; [`signer`](Self::signer) has its key.
    pub fn account(&self, name: &str) -> Address {
        self.signer(name).address()
    }

    /// The chain's id.
    pub fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// Time of the current block, seconds since 1970.
    pub fn timestamp(&self) -> u64 {
        self.timestamp
    }

    /// Number of the current block, in which the next call is executed.
    pub fn block_number(&self) -> u64 {
        self.number
    }

    /// What `blockhash` gives for an earlier block.
    pub fn block_hash(&self, number: u64) -> B256 {
        let Ok(hash) = self.state.block_hash_ref(number);
        hash
    }

    /// Every event since the world began, in order, as `eth_getLogs` gives them.
    pub fn logs(&self) -> &[Emitted] {
        &self.logs
    }

    /// Begins a new block, so many seconds after the current one.
    pub fn warp(&mut self, seconds: u64) {
        self.set_time(self.timestamp + seconds);
    }

    /// Begins a new block at this time (seconds since 1970); an earlier one than now counts as now.
    pub fn set_time(&mut self, timestamp: u64) {
        self.number += 1;
        self.timestamp = timestamp.max(self.timestamp);
    }

    /// Remembers the state, the time and the block.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot(self.clone())
    }

    /// Goes back to what was remembered.
    pub fn revert_to(&mut self, snapshot: &Snapshot) {
        self.clone_from(&snapshot.0);
    }

    /// The code at an address; empty if there is none.
    pub fn code(&self, address: Address) -> Bytes {
        let Ok(account) = self.state.basic_ref(address);
        let code = account.and_then(|info| {
            info.code.or_else(|| {
                let Ok(code) = self.state.code_by_hash_ref(info.code_hash);
                Some(code)
            })
        });
        code.map(|code| code.original_bytes()).unwrap_or_default()
    }

    /// Puts code at an address, as no transaction could.
    pub fn set_code(&mut self, address: Address, code: Bytes) {
        let code = Bytecode::new_raw(code);
        let info = AccountInfo { code_hash: code.hash_slow(), code: Some(code), nonce: 1, ..AccountInfo::default() };
        self.state.insert_account_info(address, info);
    }

    /// Ether of an account, wei.
    pub fn ether_of(&self, address: Address) -> U256 {
        let Ok(account) = self.state.basic_ref(address);
        account.map(|info| info.balance).unwrap_or_default()
    }

    /// Gives an account so much ether, wei.
    pub fn set_ether(&mut self, address: Address, balance: U256) {
        let Ok(account) = self.state.basic(address);
        self.state.insert_account_info(address, AccountInfo { balance, ..account.unwrap_or_default() });
    }

    /// Calls a function in a transaction of its own, in the current block. Contracts may be callers too.
    pub fn call<C: SolCall>(&mut self, from: Address, to: Address, call: C) -> Result<Outcome<C::Return>, Revert> {
        self.send(from, to, call.abi_encode().into(), U256::ZERO)?.decode(C::abi_decode_returns)
    }

    /// Sends calldata and ether in a transaction of its own, in the current block.
    pub fn send(&mut self, from: Address, to: Address, data: Bytes, value: U256) -> Result<Outcome<Bytes>, Revert> {
        let (block, tx) = (self.block(), self.transaction(from, to, data, value));
        let (result, changes) = run(&mut self.state, block, self.chain_id, tx)?;
        // A reverted transaction changes nothing but the nonce, which this world does not count.
        let outcome = outcome(result)?;
        self.state.commit(changes);
        let (block, timestamp) = (self.number, self.timestamp);
        self.logs.extend(outcome.logs.iter().cloned().map(|log| Emitted { block, timestamp, log }));
        Ok(outcome)
    }

    /// Asks a function without changing anything, as `eth_call` does.
    pub fn view<C: SolCall>(&self, to: Address, call: C) -> Result<C::Return, Revert> {
        let answer = self.simulate(Address::ZERO, to, call.abi_encode().into())?;
        answer.decode(C::abi_decode_returns).map(|outcome| outcome.ret)
    }

    /// Executes a transaction without keeping what it changed.
    pub fn simulate(&self, from: Address, to: Address, data: Bytes) -> Result<Outcome<Bytes>, Revert> {
        let tx = self.transaction(from, to, data, U256::ZERO);
        let (result, _) = run(WrapDatabaseRef(&self.state), self.block(), self.chain_id, tx)?;
        outcome(result)
    }

    /// Executes a transaction without keeping what it changed, and says where its gas goes.
    pub fn trace(&self, from: Address, to: Address, data: Bytes) -> Result<GasTrace, Revert> {
        let tx = self.transaction(from, to, data, U256::ZERO);
        let mut tracer = trace::Tracer::new(tx.gas_limit);
        let context = context(WrapDatabaseRef(&self.state), self.block(), self.chain_id);
        let done = context.build_mainnet_with_inspector(&mut tracer).inspect_tx(tx).map_err(refused)?;
        let refund = done.result.gas().final_refunded();
        let gas_used = outcome(done.result)?.gas_used;
        Ok(tracer.finish(gas_used, refund))
    }

    fn block(&self) -> BlockEnv {
        BlockEnv {
            number: U256::from(self.number),
            timestamp: U256::from(self.timestamp),
            gas_limit: GAS_LIMIT,
            basefee: 0,
            prevrandao: Some(keccak256(self.number.to_be_bytes())),
            ..BlockEnv::default()
        }
    }

    fn transaction(&self, from: Address, to: Address, data: Bytes, value: U256) -> TxEnv {
        TxEnv {
            caller: from,
            gas_limit: GAS_LIMIT,
            kind: TxKind::Call(to),
            value,
            data,
            chain_id: Some(self.chain_id),
            ..TxEnv::default()
        }
    }
}

fn context<D: Database>(state: D, block: BlockEnv, chain_id: u64) -> MainnetContext<D> {
    Context::mainnet()
        .with_db(state)
        .modify_cfg_chained(|cfg| {
            cfg.set_spec_and_mainnet_gas_params(SpecId::PRAGUE);
            cfg.chain_id = chain_id;
            cfg.disable_nonce_check = true;
            // Timelocks and other contracts may be impersonated.
            cfg.disable_eip3607 = true;
        })
        .with_block(block)
}

fn run<D: Database<Error = Infallible>>(
    state: D,
    block: BlockEnv,
    chain_id: u64,
    tx: TxEnv,
) -> Result<(ExecutionResult, EvmState), Revert> {
    let done = context(state, block, chain_id).build_mainnet().transact(tx).map_err(refused)?;
    Ok((done.result, done.state))
}

fn refused(error: EVMError<Infallible, InvalidTransaction>) -> Revert {
    match error {
        EVMError::Transaction(error) => Revert::refused(error.to_string()),
        EVMError::Header(error) => Revert::refused(error.to_string()),
        EVMError::Custom(error) => Revert::refused(error),
        EVMError::CustomAny(error) => Revert::refused(error.to_string()),
        EVMError::Database(never) => match never {},
    }
}

fn outcome(result: ExecutionResult) -> Result<Outcome<Bytes>, Revert> {
    match result {
        ExecutionResult::Success { gas, logs, output, .. } => {
            let (Output::Call(ret) | Output::Create(ret, _)) = output;
            Ok(Outcome { ret, logs, gas_used: gas.tx_gas_used() })
        }
        ExecutionResult::Revert { gas, output, .. } => Err(Revert::of(output, gas.tx_gas_used())),
        ExecutionResult::Halt { reason, gas, .. } => Err(Revert::halted(reason.to_string(), gas.tx_gas_used())),
    }
}
