//! Facts of one's own before the live policies.

use crate::decide::{self, DecideAnswer, DecideRequest};
use crate::http::ask::{Ask, Json};
use crate::http::endpoint::{Answer, Reply, Value};
use crate::http::problem::Problem;

impl Value for DecideAnswer {}

pub(super) async fn decide(ask: Ask<(), (), Json<DecideRequest>>) -> Answer<DecideAnswer> {
    let live = ask.api.relay.live();
    let Json(request) = ask.body;
    let decided = decide::decide(ask.api.relay.sandbox(), &live.generation, &live.scopes, &live.config, &request).await;
    decided.map(Reply::new).map_err(Problem::unprocessable)
}
