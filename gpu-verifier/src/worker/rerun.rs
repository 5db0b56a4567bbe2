//! What responses are compared with: the worker's own copy of the model, or a server that has one.

use std::sync::Arc;

use metrics::histogram;
use tokio::sync::{mpsc, oneshot};

use crate::backend::Backend;
use crate::generate::Request;
use crate::model::ModelConfig;
use crate::reference::ReferenceServer;
use crate::verify::{Claim, ResponseFeatures, VerifyError, verify_responses};

/// Responses in one pass over the weights.
const BATCH: usize = 16;
/// Tokens in one pass, unless one response alone has more: they take memory.
const BATCH_TOKENS: usize = 16_384;

/// A response to be run again.
struct Order {
    request: Request,
    output: Vec<u32>,
    proofs: Vec<String>,
    answer: oneshot::Sender<Result<ResponseFeatures, VerifyError>>,
}

impl Order {
    fn tokens(&self) -> usize {
        self.request.prompt.len().saturating_add(self.output.len())
    }

    fn claim(&self) -> Claim<'_> {
        Claim { request: &self.request, output: &self.output, proofs: &self.proofs }
    }
}

/// Runs responses again.
pub struct Rerun {
    config: ModelConfig,
    place: Place,
}

enum Place {
    Here(mpsc::Sender<Order>),
    There(Box<ReferenceServer>),
}

impl Rerun {
    /// On a model of one's own, in a thread of its own that ends with this value. Responses that wait for one another share
    /// passes over the weights.
    pub fn here(backend: Arc<dyn Backend>) -> Self {
        let (orders, waiting) = mpsc::channel(4 * BATCH);
        let config = backend.config().clone();
        tokio::task::spawn_blocking(move || work(backend.as_ref(), waiting));
        Self { config, place: Place::Here(orders) }
    }

    /// Through a server. `config` is the model's.
    pub fn there(server: ReferenceServer, config: ModelConfig) -> Self {
        Self { config, place: Place::There(Box::new(server)) }
    }

    /// Shape of the model.
    pub const fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Measures a response.
    ///
    /// # Errors
    /// Trouble on this side; it says nothing about the response.
    pub async fn measure(
        &self,
        request: Request,
        output: Vec<u32>,
        proofs: Vec<String>,
    ) -> anyhow::Result<ResponseFeatures> {
        match &self.place {
            Place::Here(orders) => {
                let (answer, measured) = oneshot::channel();
                let sent = orders.send(Order { request, output, proofs, answer }).await;
                sent.map_err(|_| anyhow::anyhow!("the model's thread has ended"))?;
                Ok(measured.await??)
            }
            Place::There(server) => {
                let claim = Claim { request: &request, output: &output, proofs: &proofs };
                Ok(server.verify(&self.config, &claim).await?.features)
            }
        }
    }
}

fn work(backend: &dyn Backend, mut waiting: mpsc::Receiver<Order>) {
    let mut first = waiting.blocking_recv();
    while let Some(order) = first.take() {
        let mut tokens = order.tokens();
        let mut batch = vec![order];
        while batch.len() < BATCH
            && let Ok(order) = waiting.try_recv()
        {
            tokens = tokens.saturating_add(order.tokens());
            if tokens > BATCH_TOKENS {
                first = Some(order);
                break;
            }
            batch.push(order);
        }
        histogram!("tandem_worker_prefill_responses").record(batch.len() as f64);
        let claims: Vec<Claim<'_>> = batch.iter().map(Order::claim).collect();
        let measured = verify_responses(backend, &claims);
        for (order, measured) in batch.into_iter().zip(measured) {
            // Whoever does not wait any more does not need it.
            let _ = order.answer.send(measured);
        }
        if first.is_none() {
            first = waiting.blocking_recv();
        }
    }
}
