//! Where the gas of a transaction goes: by contract, by kind of work and by storage slot.

use std::{collections::BTreeMap, fmt, ops::AddAssign};

use alloy::primitives::{Address, U256};
use revm::{
    Inspector,
    bytecode::opcode,
    interpreter::{
        CallInputs, CallOutcome, CreateInputs, CreateOutcome, Interpreter, InterpreterResult,
        interpreter::EthInterpreter, interpreter_types::Jumps,
    },
};

/// Gas that a call with value hands to the callee on top of what the caller pays for.
const CALL_STIPEND: u64 = 2_300;
/// From EIP-2929: the surcharge of a slot that the transaction has not touched yet.
const COLD_SLOAD: u64 = 2_100;
/// From EIP-2200: writing a slot that held zero.
const SSTORE_SET: u64 = 20_000;
/// From EIP-2929: writing a warm slot that held something else.
const SSTORE_RESET: u64 = 2_900;

/// What gas was spent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Work {
    /// Reading a slot for the first time in the transaction.
    ColdRead,
    /// Reading it again.
    WarmRead,
    /// Writing a slot that held zero, cold or warm.
    FreshWrite,
    /// Changing a slot that held something else, cold or warm.
    Rewrite,
    /// Writing a slot that the transaction has changed already, or to the value that it holds.
    RepeatedWrite,
    /// Transient storage.
    Transient,
    /// Events.
    Log,
    /// keccak256.
    Hash,
    /// Reaching another account's code, without what that code does.
    Call,
    /// Looking at another account or its code: EXTCODESIZE, EXTCODECOPY, BALANCE and the like.
    Account,
    /// Creating a contract, without what its constructor does.
    Create,
    /// A precompiled contract such as ecrecover.
    Precompile,
    /// Everything else: arithmetic, memory, jumps, calldata.
    Compute,
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::ColdRead => "cold read",
            Self::WarmRead => "warm read",
            Self::FreshWrite => "write to zero",
            Self::Rewrite => "rewrite",
            Self::RepeatedWrite => "repeated write",
            Self::Transient => "transient",
            Self::Log => "log",
            Self::Hash => "keccak256",
            Self::Call => "call",
            Self::Account => "account",
            Self::Create => "create",
            Self::Precompile => "precompile",
            Self::Compute => "compute",
        })
    }
}

/// How often something was done, and the gas it took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// How often.
    pub count: u64,
    /// Gas of all of it.
    pub gas: u64,
}

impl AddAssign for Spent {
    fn add_assign(&mut self, other: Self) {
        self.count += other.count;
        self.gas += other.gas;
    }
}

/// The gas of one transaction, taken apart.
///
/// `intrinsic` and all of `work` less `refund` are `gas_used`, unless the calldata's floor (EIP-7623) lies above that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GasTrace {
    /// Gas of the whole transaction, as a receipt says it.
    pub gas_used: u64,
    /// 21,000 and calldata.
    pub intrinsic: u64,
    /// Given back for slots set to zero.
    pub refund: u64,
    /// What the contracts did, by the contract whose storage was in force and by kind.
    pub work: BTreeMap<(Address, Work), Spent>,
    /// Reads and writes of storage, by contract and slot.
    pub slots: BTreeMap<(Address, U256), Spent>,
}

impl GasTrace {
    /// Every contract that did something, with its gas, the dearest first.
    pub fn by_contract(&self) -> Vec<(Address, u64)> {
        let mut sums: BTreeMap<Address, u64> = BTreeMap::new();
        for ((contract, _), spent) in &self.work {
            *sums.entry(*contract).or_default() += spent.gas;
        }
        let mut sorted: Vec<_> = sums.into_iter().collect();
        sorted.sort_by_key(|&(_, gas)| std::cmp::Reverse(gas));
        sorted
    }

    /// Every kind of work, over all contracts.
    pub fn by_work(&self) -> BTreeMap<Work, Spent> {
        let mut sums: BTreeMap<Work, Spent> = BTreeMap::new();
        for ((_, work), spent) in &self.work {
            *sums.entry(*work).or_default() += *spent;
        }
        sums
    }
}

/// A call in progress.
struct Frame {
    contract: Address,
    /// Gas attributed so far, this frame's own and its callees'.
    attributed: i64,
    ran: bool,
}

/// An instruction in progress.
#[derive(Clone, Copy)]
struct Step {
    opcode: u8,
    remaining: u64,
    slot: U256,
}

/// The inspector that fills a [`GasTrace`].
pub(super) struct Tracer {
    gas_limit: u64,
    frames: Vec<Frame>,
    step: Option<Step>,
    /// A call's or creation's own cost includes what it hands on; it is known only when the frame begins.
    handing_on: Option<Work>,
    intrinsic: u64,
    work: BTreeMap<(Address, Work), (u64, i64)>,
    slots: BTreeMap<(Address, U256), Spent>,
}

impl Tracer {
    pub(super) fn new(gas_limit: u64) -> Self {
        Self {
            gas_limit,
            frames: Vec::new(),
            step: None,
            handing_on: None,
            intrinsic: 0,
            work: BTreeMap::new(),
            slots: BTreeMap::new(),
        }
    }

    pub(super) fn finish(self, gas_used: u64, refund: u64) -> GasTrace {
        let work = self.work.into_iter().map(|(key, (count, gas))| {
            let gas = u64::try_from(gas).expect("what a frame hands on was taken from it before");
            (key, Spent { count, gas })
        });
        let work = work.filter(|(_, spent)| spent.gas > 0).collect();
        GasTrace { gas_used, intrinsic: self.intrinsic, refund, work, slots: self.slots }
    }

    fn attribute(&mut self, work: Work, count: u64, gas: i64) {
        let Some(frame) = self.frames.last_mut() else { return };
        frame.attributed += gas;
        let entry = self.work.entry((frame.contract, work)).or_default();
        entry.0 += count;
        entry.1 += gas;
    }

    fn enter(&mut self, contract: Address, gas_limit: u64, stipend: u64) {
        if self.frames.is_empty() {
            self.intrinsic = self.gas_limit.saturating_sub(gas_limit);
        } else if let Some(work) = self.handing_on.take() {
            self.attribute(work, 0, -signed(gas_limit.saturating_sub(stipend)));
        }
        self.frames.push(Frame { contract, attributed: 0, ran: false });
    }

    /// Whatever no instruction accounts for is the precompile's, or what a failure burned.
    fn leave(&mut self, result: &InterpreterResult, rest: Work) {
        let Some(frame) = self.frames.last() else { return };
        let unused = if result.result.is_halt() { 0 } else { result.gas.remaining() };
        let left = signed(result.gas.limit() - unused) - frame.attributed;
        let work = if frame.ran { rest } else { Work::Precompile };
        if left != 0 {
            self.attribute(work, 1, left);
        }
        let Some(frame) = self.frames.pop() else { return };
        if let Some(caller) = self.frames.last_mut() {
            caller.attributed += frame.attributed;
        }
    }
}

fn signed(gas: u64) -> i64 {
    i64::try_from(gas).expect("gas limits are far below 2^63")
}

fn kind_of(code: u8, gas: u64) -> Work {
    match code {
        opcode::SLOAD if gas >= COLD_SLOAD => Work::ColdRead,
        opcode::SLOAD => Work::WarmRead,
        opcode::SSTORE if gas >= SSTORE_SET => Work::FreshWrite,
        opcode::SSTORE if gas >= SSTORE_RESET => Work::Rewrite,
        opcode::SSTORE => Work::RepeatedWrite,
        opcode::TLOAD | opcode::TSTORE => Work::Transient,
        opcode::LOG0..=opcode::LOG4 => Work::Log,
        opcode::KECCAK256 => Work::Hash,
        opcode::CALL | opcode::CALLCODE | opcode::DELEGATECALL | opcode::STATICCALL => Work::Call,
        opcode::CREATE | opcode::CREATE2 => Work::Create,
        opcode::BALANCE | opcode::EXTCODESIZE | opcode::EXTCODECOPY | opcode::EXTCODEHASH => Work::Account,
        _ => Work::Compute,
    }
}

impl<C> Inspector<C, EthInterpreter> for Tracer {
    fn step(&mut self, interpreter: &mut Interpreter<EthInterpreter>, _: &mut C) {
        let code = interpreter.bytecode.opcode();
        let slot = match code {
            opcode::SLOAD | opcode::SSTORE => interpreter.stack.peek(0).unwrap_or_default(),
            _ => U256::ZERO,
        };
        self.step = Some(Step { opcode: code, remaining: interpreter.gas.remaining(), slot });
        if let Some(frame) = self.frames.last_mut() {
            frame.ran = true;
        }
    }

    fn step_end(&mut self, interpreter: &mut Interpreter<EthInterpreter>, _: &mut C) {
        let Some(Step { opcode, remaining, slot }) = self.step.take() else { return };
        let gas = remaining.saturating_sub(interpreter.gas.remaining());
        let work = kind_of(opcode, gas);
        self.attribute(work, 1, signed(gas));
        match opcode {
            opcode::SLOAD | opcode::SSTORE => {
                if let Some(frame) = self.frames.last() {
                    *self.slots.entry((frame.contract, slot)).or_default() += Spent { count: 1, gas };
                }
            }
            _ => self.handing_on = matches!(work, Work::Call | Work::Create).then_some(work),
        }
    }

    fn call(&mut self, _: &mut C, inputs: &mut CallInputs) -> Option<CallOutcome> {
        let stipend = if inputs.transfers_value() { CALL_STIPEND } else { 0 };
        self.enter(inputs.target_address, inputs.gas_limit, stipend);
        None
    }

    fn call_end(&mut self, _: &mut C, _: &CallInputs, outcome: &mut CallOutcome) {
        self.leave(&outcome.result, Work::Compute);
    }

    fn create(&mut self, _: &mut C, inputs: &mut CreateInputs) -> Option<CreateOutcome> {
        // The new contract's address is its creator's affair; its constructor counts as its creator's work.
        let creator = inputs.caller();
        self.enter(creator, inputs.gas_limit(), 0);
        None
    }

    fn create_end(&mut self, _: &mut C, _: &CreateInputs, outcome: &mut CreateOutcome) {
        self.leave(&outcome.result, Work::Create);
    }
}
