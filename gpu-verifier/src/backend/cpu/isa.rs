//! Which instructions the loops may use. The same code is compiled twice, once for any processor and once for those
//! with AVX2 and FMA; both give the same bits, because vectors run over *outputs* and every output keeps its own
//! accumulator and its own order.

/// Proof that the processor was asked, or that the portable loops were chosen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Isa {
    wide: bool,
}

impl Isa {
    /// The best loops that this processor runs.
    pub(crate) fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        let wide = std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma");
        #[cfg(not(target_arch = "x86_64"))]
        let wide = false;
        Self { wide }
    }

    /// The loops that run everywhere.
    pub(crate) fn portable() -> Self {
        Self { wide: false }
    }

    pub(crate) fn is_wide(self) -> bool {
        self.wide
    }
}

/// Makes `$name(isa, …)` out of an `#[inline(always)]` function `$body(…)`.
macro_rules! dispatch {
    ($(#[$doc:meta])* fn $name:ident = $body:ident($($arg:ident: $ty:ty),* $(,)?)) => {
        $(#[$doc])*
        #[allow(clippy::too_many_arguments)]
        pub(super) fn $name(isa: $crate::backend::cpu::isa::Isa, $($arg: $ty),*) {
            #[cfg(target_arch = "x86_64")]
            if isa.is_wide() {
                #[target_feature(enable = "avx2,fma")]
                #[allow(clippy::too_many_arguments)]
                fn wide($($arg: $ty),*) {
                    $body($($arg),*);
                }
                // SAFETY: an `Isa` is only wide after the processor reported both features.
                #[allow(unsafe_code)]
                return unsafe { wide($($arg),*) };
            }
            let _ = isa;
            $body($($arg),*);
        }
    };
}

pub(super) use dispatch;
