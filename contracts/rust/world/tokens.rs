//! ERC-20 in short.

use alloy::primitives::{Address, U256};

use super::{Outcome, Revert, World};
use crate::bindings::TestUSDC;

impl World {
    /// Balance of an account, in the token's base units; zero where there is no token.
    pub fn balance_of(&self, token: Address, account: Address) -> U256 {
        self.view(token, TestUSDC::balanceOfCall { account }).unwrap_or_default()
    }

    /// Total supply of a token, in its base units; zero where there is no token.
    pub fn total_supply(&self, token: Address) -> U256 {
        self.view(token, TestUSDC::totalSupplyCall {}).unwrap_or_default()
    }

    /// Lets `spender` take up to `amount` of `owner`'s tokens.
    pub fn approve(
        &mut self,
        token: Address,
        owner: Address,
        spender: Address,
        amount: U256,
    ) -> Result<Outcome<bool>, Revert> {
        self.call(owner, token, TestUSDC::approveCall { spender, value: amount })
    }

    /// Moves `amount` of `from`'s tokens.
    pub fn transfer(
        &mut self,
        token: Address,
        from: Address,
        to: Address,
        amount: U256,
    ) -> Result<Outcome<bool>, Revert> {
        self.call(from, token, TestUSDC::transferCall { to, value: amount })
    }

    /// Gives an account test USDC (6 decimals) out of nothing.
    pub fn mint_usdc(&mut self, usdc: Address, to: Address, amount: U256) -> Result<(), Revert> {
        self.call(to, usdc, TestUSDC::mintCall { to, amount }).map(|_| ())
    }
}
