//! Matrix products and attention in the fixed order of exact mode.

super::kernels! {
    "exact":
}
