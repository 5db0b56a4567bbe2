//! Contributors that cheat, for test networks and for measuring what verification catches. Each is an
//! [`Engine`](crate::engine::Engine) and so sits behind the same node as an honest one.

mod forge;

pub use forge::ConstantProof;
