//! What responses are compared with: the worker's own copy of the model, or a server that has one.

use std::sync::Arc;

use metrics::histogram;
use tokio::sync::{mpsc, oneshot};

use crate::backend::Backend;
use crate::generate::Request;
use crate::model::ModelConfig;
use crate::reference::ReferenceServer;
use crate::verify::{Claim, ResponseFeatures, VerifyError, verify_stream};

/// Responses in one pass over the weights.
const BATCH: usize = 16;

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
    /// On a model of one's own, in threads of its own that end with this value. Responses that wait for one another share
    /// passes over the weights, and while some are compared, others are computed.
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
    let mut held = None;
    let packs = std::iter::from_fn(|| next_pack(&mut waiting, &mut held, backend.pass()));
    verify_stream(backend, packs, Order::claim, |order, measured| {
        // Whoever does not wait any more does not need it.
        let _ = order.answer.send(measured);
    });
}

/// Those that wait, as many as one pass of `most` tokens has room for; waits for the first. What has no room is held for the
/// next. `None` when nobody will order any more.
fn next_pack(waiting: &mut mpsc::Receiver<Order>, held: &mut Option<Order>, most: usize) -> Option<Vec<Order>> {
    let first = match held.take() {
        Some(order) => order,
        None => waiting.blocking_recv()?,
    };
    let mut tokens = first.tokens();
    let mut pack = vec![first];
    while pack.len() < BATCH
        && let Ok(order) = waiting.try_recv()
    {
        tokens = tokens.saturating_add(order.tokens());
        if tokens > most {
            *held = Some(order);
            break;
        }
        pack.push(order);
    }
    histogram!("tandem_worker_prefill_responses").record(pack.len() as f64);
    Some(pack)
}
