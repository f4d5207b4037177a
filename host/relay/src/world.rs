//! What a relay finds around it: time, chance, and the network. Everything behind this crate's door asks here.
//!
//! In service it is [`ThisMachine`]; a test in virtual time brings a world of its own, in which a seed decides.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::net::TcpStream;

use crate::socket::Socket;

/// A connection that is being made.
pub(crate) type Connecting = Pin<Box<dyn Future<Output = io::Result<Socket>> + Send>>;

/// Clock, dice and network of one relay.
pub(crate) trait World: Send + Sync + 'static {
    /// Time since the Unix epoch.
    fn since_epoch(&self) -> Duration;

    /// 64 bits of chance.
    fn roll(&self) -> u64;

    /// Connects to a next hop. Takes as long as it takes: whoever asks brings a deadline.
    fn connect(&self, address: SocketAddr) -> Connecting;
}

/// The system's clock, the thread's random numbers, TCP.
pub(crate) struct ThisMachine;

impl World for ThisMachine {
    fn since_epoch(&self) -> Duration {
        // A clock before 1970 is as good as none: schedules then start at zero and go on.
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }

    fn roll(&self) -> u64 {
        rand::random()
    }

    fn connect(&self, address: SocketAddr) -> Connecting {
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            // Small writes wait for nothing: commands and the end of the data are all small.
            stream.set_nodelay(true)?;
            Ok(Socket::Tcp(stream))
        })
    }
}

/// Letters and digits that nobody confuses (Crockford's base 32, lower case).
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

impl dyn World {
    /// Seconds since the Unix epoch.
    pub(crate) fn now(&self) -> u64 {
        self.since_epoch().as_secs()
    }

    /// Milliseconds since the Unix epoch.
    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from(self.since_epoch().as_millis()).unwrap_or(u64::MAX)
    }

    /// 0.0 to 1.0, for back-off.
    pub(crate) fn jitter(&self) -> f64 {
        // 53 bits are what a double holds exactly.
        (self.roll() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A new id: ten characters of time, ten of chance. Ids made later sort later, and 50 random bits within one
    /// millisecond do not meet.
    pub(crate) fn new_id(&self) -> String {
        let digits = |mut value: u64| {
            let mut text = [b'0'; 10];
            for digit in text.iter_mut().rev() {
                *digit = ALPHABET[usize::try_from(value % 32).unwrap_or(0)];
                value /= 32;
            }
            text
        };
        let octets = [digits(self.now_ms()), digits(self.roll())].concat();
        octets.into_iter().map(char::from).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_do_not_repeat() {
        let machine: &dyn World = &ThisMachine;
        let ids: Vec<String> = (0..1000).map(|_| machine.new_id()).collect();
        assert!(ids.windows(2).all(|pair| pair[0][..10] <= pair[1][..10]));
        assert_eq!(ids.iter().collect::<std::collections::BTreeSet<_>>().len(), ids.len());
        assert!(ids.iter().all(|id| id.len() == 20));
    }

    #[test]
    fn jitter_is_a_part_of_one() {
        let machine: &dyn World = &ThisMachine;
        let (low, high) =
            (0..1000).map(|_| machine.jitter()).fold((1.0_f64, 0.0_f64), |(l, h), j| (l.min(j), h.max(j)));
        assert!((0.0..0.1).contains(&low) && (0.9..1.0).contains(&high), "{low} to {high}");
    }
}
