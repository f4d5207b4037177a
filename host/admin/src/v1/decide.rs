//! Facts of one's own before the live policies.

use crate::decide::{DecideAnswer, DecideRequest, decide_live};
use crate::http::ask::{Ask, Json};
use crate::http::endpoint::{Answer, Reply, Value};
use crate::http::problem::Problem;

impl Value for DecideAnswer {}

pub(super) async fn decide(ask: Ask<(), (), Json<DecideRequest>>) -> Answer<DecideAnswer> {
    let Json(request) = ask.body;
    decide_live(&ask.api.relay, &request).await.map(Reply::new).map_err(Problem::unprocessable)
}
