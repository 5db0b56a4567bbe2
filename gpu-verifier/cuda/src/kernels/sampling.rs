//! Which token comes next, and how far a claimed one is from it.

super::kernels! {
    "sampling":
}
