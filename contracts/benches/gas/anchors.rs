//! The well-known contracts that a row is measured beside: Uniswap v2 and its Merkle distributor, as npm ships them.
//!
//! Their bytecode is read from `node_modules` when the bench runs. It is neither part of this repository nor linked into
//! anything, so their licence (GPL) concerns nobody but who runs the bench.

use std::path::Path;

use alloy::{
    primitives::{Address, B256, Bytes, U256, hex, keccak256},
    sol,
    sol_types::SolValue,
};

use crate::net::{BLOCK, Net, ONE, Tx};

sol! {
    function addLiquidity(address tokenA, address tokenB, uint256 a, uint256 b, uint256 minA, uint256 minB, address to, uint256 deadline) external returns (uint256, uint256, uint256);
    function swapExactTokensForTokens(uint256 amountIn, uint256 amountOutMin, address[] calldata path, address to, uint256 deadline) external returns (uint256[] memory amounts);
    function getAmountsOut(uint256 amountIn, address[] calldata path) external view returns (uint256[] memory amounts);
    function getPair(address tokenA, address tokenB) external view returns (address);
    function claim(uint256 index, address account, uint256 amount, bytes32[] calldata proof) external;
}

/// Levels of the distributor's tree.
const LEVELS: u64 = 20;
/// keccak256 of the pair's creation code that the router computes pairs' addresses with.
const PAIR_CODE_HASH: &str = "96e8ac4277198ff8b6f785478aa9a39f403cb768dd02cbee326c3e7da348845f";

/// Creation code of a contract of an npm package.
fn bytecode(package: &str, contract: &str) -> Bytes {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate has a parent folder");
    let path = root.join("node_modules/@uniswap").join(package).join("build").join(format!("{contract}.json"));
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; run `npm ci` in {}", path.display(), root.display()));
    let artifact: serde_json::Value = serde_json::from_str(&text).expect("a build artifact is JSON");
    let code = artifact["bytecode"].as_str().expect("a build artifact has its bytecode in hexadecimal");
    hex::decode(code).expect("a build artifact has its bytecode in hexadecimal").into()
}

/// Puts a contract at an address of its own by running its constructor there.
fn create(net: &mut Net, package: &str, contract: &str, arguments: impl SolValue) -> Address {
    let init_code = [&bytecode(package, contract)[..], &arguments.abi_encode()].concat();
    let salt = keccak256(contract);
    let factory = tandem_contracts::suite::CREATE2_FACTORY;
    let data = [&salt[..], &init_code].concat();
    net.send(&Tx { from: net.account("deployer"), to: factory, data: data.into() });
    factory.create2_from_code(salt, &init_code)
}

/// Uniswap v2 with a pair of TNDM and alpha for each of the subnets 1 and 2.
pub(crate) struct Uniswap {
    pub(crate) router: Address,
    pub(crate) pairs: [Address; 2],
}

impl Uniswap {
    pub(crate) fn deploy(net: &mut Net) -> Self {
        let pair_code = bytecode("v2-core", "UniswapV2Pair");
        assert_eq!(
            hex::encode(keccak256(&pair_code)),
            PAIR_CODE_HASH,
            "the router would not find this factory's pairs"
        );
        // No fee receiver, as on the public deployment at birth.
        let factory = create(net, "v2-core", "UniswapV2Factory", (net.account("nobody"),));
        let router = create(net, "v2-periphery", "UniswapV2Router02", (factory, net.account("weth")));
        let tndm = net.suite().tandem_token;
        let pairs = [1, 2].map(|netuid| {
            let alpha = net.alpha(netuid);
            for token in [tndm, alpha] {
                net.approve(token, "trader", router);
            }
            let call = addLiquidityCall {
                tokenA: tndm,
                tokenB: alpha,
                a: U256::from(100) * ONE,
                b: U256::from(1_000) * ONE,
                minA: U256::ZERO,
                minB: U256::ZERO,
                to: net.account("trader"),
                deadline: U256::MAX,
            };
            net.call("trader", router, call);
            net.view(factory, getPairCall { tokenA: tndm, tokenB: alpha })
        });
        Self { router, pairs }
    }

    pub(crate) fn swap_tx(&self, net: &Net, name: &str, path: &[Address], amount: U256) -> Tx {
        let quoted = net.view(self.router, getAmountsOutCall { amountIn: amount, path: path.to_vec() });
        let call = swapExactTokensForTokensCall {
            amountIn: amount,
            amountOutMin: quoted.last().copied().unwrap_or_default() * U256::from(99) / U256::from(100),
            path: path.to_vec(),
            to: net.account(name),
            deadline: U256::from(net.world.timestamp() + 10 * BLOCK),
        };
        net.tx(name, self.router, &call)
    }
}

/// The Merkle distributor: a bitmap of claims, one root for ever.
pub(crate) struct Distributor {
    pub(crate) address: Address,
    claims: Vec<(u64, Address, U256)>,
}

impl Distributor {
    /// A distributor of `token`, filled by the trader, with claims of neighbouring indices.
    pub(crate) fn deploy(net: &mut Net, token: Address, names: &[&str], amount: U256) -> Self {
        let first = 0x5_1234;
        let claims: Vec<_> = (first..).zip(names).map(|(index, name)| (index, net.account(name), amount)).collect();
        let mut distributor = Self { address: Address::ZERO, claims };
        let root = distributor.node(LEVELS, 0);
        distributor.address = create(net, "merkle-distributor", "MerkleDistributor", (token, root));
        // Others are still to claim: whoever empties it gets gas back, which no claim but the last does.
        let all = amount * U256::from(names.len() + 1);
        let trader = net.account("trader");
        net.world.transfer(token, trader, distributor.address, all).expect("the trader holds enough");
        distributor
    }

    pub(crate) fn claim_tx(&self, net: &Net, name: &str) -> Tx {
        let account = net.account(name);
        let (index, _, amount) = *self.claims.iter().find(|claim| claim.1 == account).expect("known since deployment");
        let proof = (0..LEVELS).map(|level| self.node(level, (index >> level) ^ 1)).collect();
        let call = claimCall { index: U256::from(index), account, amount, proof };
        net.tx(name, self.address, &call)
    }

    /// Pairs are hashed in the order of their values.
    fn node(&self, level: u64, position: u64) -> B256 {
        let Some((_, account, amount)) = self.claims.iter().find(|claim| claim.0 >> level == position) else {
            return keccak256((U256::from(level), U256::from(position)).abi_encode());
        };
        if level == 0 {
            return keccak256((U256::from(position), account, amount).abi_encode_packed());
        }
        let mut pair = [self.node(level - 1, 2 * position), self.node(level - 1, 2 * position + 1)];
        pair.sort_unstable();
        keccak256(pair.concat())
    }
}
