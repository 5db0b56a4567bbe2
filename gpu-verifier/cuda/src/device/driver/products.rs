//! Matrix products by cuBLASLt.

use std::collections::HashMap;
use std::ffi::c_void;
use std::ptr;

use cudarc::cublaslt::sys::{
    self, cublasComputeType_t, cublasLtMatmulDescAttributes_t as DescAttribute, cublasLtMatmulHeuristicResult_t,
    cublasLtMatmulPreferenceAttributes_t as Preference, cublasStatus_t, cudaDataType_t,
};
use cudarc::driver::sys::CUstream;

use super::calls::guarded;
use crate::device::{DeviceError, Element, Product};

/// Bytes that a product may use besides its matrices: what NVIDIA advises for Hopper.
pub(super) const WORKSPACE: u64 = 32 << 20;

/// Shapes whose algorithms are remembered.
const REMEMBERED: usize = 4_096;

/// What an algorithm is chosen by: the shape, and what the three addresses are multiples of.
type Key = ([u32; 3], Element, bool, [u32; 3]);

/// cuBLASLt, and the algorithms it chose.
#[derive(Debug)]
pub(super) struct Products {
    handle: sys::cublasLtHandle_t,
    workspace: u64,
    plans: HashMap<Key, Plan>,
}

// SAFETY: a handle and descriptors may be used from any thread, one at a time.
unsafe impl Send for Products {}

/// How one shape is multiplied.
#[derive(Debug)]
struct Plan {
    desc: sys::cublasLtMatmulDesc_t,
    weights: Layout,
    x: Layout,
    out: Layout,
    algorithm: sys::cublasLtMatmulAlgo_t,
}

impl Drop for Plan {
    fn drop(&mut self) {
        // SAFETY: it was created and is destroyed once.
        let _ = guarded(|| unsafe { sys::cublasLtMatmulDescDestroy(self.desc) });
    }
}

#[derive(Debug)]
struct Layout(sys::cublasLtMatrixLayout_t);

impl Layout {
    /// A dense matrix of `columns` columns, each of `rows` elements one after the other.
    fn new(element: cudaDataType_t, rows: u32, columns: u32) -> Result<Self, DeviceError> {
        let mut layout = ptr::null_mut();
        // SAFETY: the library writes a handle.
        call("cublasLtMatrixLayoutCreate", || unsafe {
            sys::cublasLtMatrixLayoutCreate(&raw mut layout, element, rows.into(), columns.into(), rows.into())
        })?;
        Ok(Self(layout))
    }
}

impl Drop for Layout {
    fn drop(&mut self) {
        // SAFETY: it was created and is destroyed once.
        let _ = guarded(|| unsafe { sys::cublasLtMatrixLayoutDestroy(self.0) });
    }
}

fn call(name: &'static str, function: impl FnOnce() -> cublasStatus_t) -> Result<(), DeviceError> {
    match guarded(function) {
        Some(cublasStatus_t::CUBLAS_STATUS_SUCCESS) => Ok(()),
        Some(status) => Err(DeviceError::Failed(format!("{name}: {status:?}"))),
        None => Err(DeviceError::Unavailable(format!("{name}: cuBLASLt does not have it; 12 or 13 is needed"))),
    }
}

impl Products {
    /// `workspace` is the address of [`WORKSPACE`] bytes. cuBLASLt must be there, and the context current.
    pub(super) fn new(workspace: u64) -> Result<Self, DeviceError> {
        let mut handle = ptr::null_mut();
        // SAFETY: the library writes a handle.
        call("cublasLtCreate", || unsafe { sys::cublasLtCreate(&raw mut handle) })?;
        Ok(Self { handle, workspace, plans: HashMap::new() })
    }

    pub(super) fn multiply(&mut self, product: &Product, stream: CUstream) -> Result<(), DeviceError> {
        let Product { x, weights, out, rows, columns, depth, element, add } = *product;
        // Which algorithm serves depends on the addresses' common alignment: vectors of 16 bytes need that of 16.
        let alignment = |address: u64| 1_u32 << address.trailing_zeros().min(8);
        let key = ([rows, columns, depth], element, add, [alignment(x), alignment(weights), alignment(out)]);
        if !self.plans.contains_key(&key) {
            if self.plans.len() >= REMEMBERED {
                self.plans.clear();
            }
            self.plans.insert(key, Plan::new(self.handle, &key)?);
        }
        let plan = &self.plans[&key];
        let (alpha, beta) = (1_f32, if add { 1_f32 } else { 0_f32 });
        // SAFETY: descriptors live in the plan; the matrices are the caller's affair, as a kernel's arguments are.
        call("cublasLtMatmul", || unsafe {
            sys::cublasLtMatmul(
                self.handle,
                plan.desc,
                (&raw const alpha).cast(),
                weights as *const c_void,
                plan.weights.0,
                x as *const c_void,
                plan.x.0,
                (&raw const beta).cast(),
                out as *const c_void,
                plan.out.0,
                out as *mut c_void,
                plan.out.0,
                &raw const plan.algorithm,
                self.workspace as *mut c_void,
                WORKSPACE as usize,
                stream.cast(),
            )
        })
    }
}

impl Drop for Products {
    fn drop(&mut self) {
        self.plans.clear();
        // SAFETY: it was created and is destroyed once.
        let _ = guarded(|| unsafe { sys::cublasLtDestroy(self.handle) });
    }
}

impl Plan {
    /// The library stores matrices by column: its `out` is ours transposed, `outᵀ = W · xᵀ`, and its view of our `W`, row by
    /// row, is `Wᵀ`.
    fn new(handle: sys::cublasLtHandle_t, key: &Key) -> Result<Self, DeviceError> {
        let ([rows, columns, depth], element, _, alignments) = *key;
        let result = match element {
            Element::Bf16 => cudaDataType_t::CUDA_R_16BF,
            Element::F32 => cudaDataType_t::CUDA_R_32F,
        };
        let mut desc = ptr::null_mut();
        // SAFETY: the library writes a handle.
        call("cublasLtMatmulDescCreate", || unsafe {
            sys::cublasLtMatmulDescCreate(
                &raw mut desc,
                cublasComputeType_t::CUBLAS_COMPUTE_32F,
                cudaDataType_t::CUDA_R_32F,
            )
        })?;
        let mut plan = Self {
            desc,
            weights: Layout::new(cudaDataType_t::CUDA_R_16BF, depth, columns)?,
            x: Layout::new(cudaDataType_t::CUDA_R_16BF, depth, rows)?,
            out: Layout::new(result, columns, rows)?,
            algorithm: sys::cublasLtMatmulAlgo_t { data: [0; 8] },
        };
        // CUBLAS_OP_T of the BLAS interface, an integer of four bytes.
        let transposed = 1_i32;
        // SAFETY: the attribute has this size.
        call("cublasLtMatmulDescSetAttribute", || unsafe {
            sys::cublasLtMatmulDescSetAttribute(
                desc,
                DescAttribute::CUBLASLT_MATMUL_DESC_TRANSA,
                (&raw const transposed).cast(),
                size_of::<i32>(),
            )
        })?;
        plan.algorithm = plan.best(handle, alignments)?;
        Ok(plan)
    }

    fn best(
        &self,
        handle: sys::cublasLtHandle_t,
        alignments: [u32; 3],
    ) -> Result<sys::cublasLtMatmulAlgo_t, DeviceError> {
        struct Wishes(sys::cublasLtMatmulPreference_t);
        impl Drop for Wishes {
            fn drop(&mut self) {
                // SAFETY: it was created and is destroyed once.
                let _ = guarded(|| unsafe { sys::cublasLtMatmulPreferenceDestroy(self.0) });
            }
        }
        let mut wishes = Wishes(ptr::null_mut());
        // SAFETY: the library writes a handle.
        call("cublasLtMatmulPreferenceCreate", || unsafe { sys::cublasLtMatmulPreferenceCreate(&raw mut wishes.0) })?;
        let set = |attribute: Preference, value: *const c_void, bytes: usize| {
            // SAFETY: the value has the attribute's size.
            call("cublasLtMatmulPreferenceSetAttribute", || unsafe {
                sys::cublasLtMatmulPreferenceSetAttribute(wishes.0, attribute, value, bytes)
            })
        };
        set(
            Preference::CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
            (&raw const WORKSPACE_BYTES).cast(),
            size_of::<u64>(),
        )?;
        let [x, weights, out] = alignments;
        for (attribute, alignment) in [
            (Preference::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, weights),
            (Preference::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, x),
            (Preference::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, out),
            (Preference::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, out),
        ] {
            set(attribute, (&raw const alignment).cast(), size_of::<u32>())?;
        }
        let mut found = std::mem::MaybeUninit::<cublasLtMatmulHeuristicResult_t>::zeroed();
        let mut count = 0;
        // SAFETY: there is room for one result, and all descriptors live.
        call("cublasLtMatmulAlgoGetHeuristic", || unsafe {
            sys::cublasLtMatmulAlgoGetHeuristic(
                handle,
                self.desc,
                self.weights.0,
                self.x.0,
                self.out.0,
                self.out.0,
                wishes.0,
                1,
                found.as_mut_ptr(),
                &raw mut count,
            )
        })?;
        if count == 0 {
            return Err(DeviceError::Failed("cuBLASLt has no algorithm for a product of this shape".to_owned()));
        }
        // SAFETY: zeros are a valid result, and one was written over them.
        Ok(unsafe { found.assume_init() }.algo)
    }
}

/// [`WORKSPACE`], with an address.
static WORKSPACE_BYTES: u64 = WORKSPACE;
