//! What a next hop may do instead of answering as it should: where in the session, and what.

use super::chance::Chance;
use super::fault::Fault;

/// Where in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Greeting,
    Ehlo,
    StartTls,
    Mail,
    Rcpt,
    Data,
    End,
    Other,
}

/// What happens there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Delay,
    Silent,
    Trickle,
    Garbage,
    Overlong,
    Endless,
    Goodbye,
    Hangup,
    Temporary,
    Permanent,
    Broken,
    Injected,
}

/// What one connection will do, once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trouble {
    pub(super) stage: Stage,
    pub(super) kind: Kind,
}

impl Trouble {
    pub(super) fn draw(chance: &Chance) -> Trouble {
        use Kind::{
            Broken, Delay, Endless, Garbage, Goodbye, Hangup, Injected, Overlong, Permanent, Silent, Temporary, Trickle,
        };
        use Stage::{Data, Ehlo, End, Greeting, Mail, Other, Rcpt, StartTls};
        let stage = chance.among(&[Greeting, Ehlo, StartTls, StartTls, Mail, Rcpt, Data, End, End, End, Other]);
        let anywhere = [Delay, Silent, Trickle, Garbage, Overlong, Endless, Goodbye, Hangup, Temporary, Permanent];
        let kind = match stage {
            StartTls => chance.among(&[Broken, Injected, Temporary, Permanent, Silent, Hangup, Garbage, Delay]),
            End => chance.among(&[Silent, Hangup, Hangup, Garbage, Trickle, Temporary, Permanent, Goodbye, Delay]),
            _ if chance.percent(40) => chance.among(&[Temporary, Permanent]),
            _ => chance.among(&anywhere),
        };
        Trouble { stage, kind }
    }
}

impl Kind {
    /// The fault it counts as; None where it was counted already.
    pub(super) fn fault(self, stage: Stage) -> Option<Fault> {
        Some(match self {
            Kind::Delay => Fault::ReplyDelayed,
            Kind::Goodbye => Fault::Goodbye,
            Kind::Temporary => match stage {
                Stage::Greeting => Fault::GreetingTemporary,
                Stage::Ehlo => Fault::EhloTemporary,
                Stage::StartTls => Fault::StartTlsTemporary,
                Stage::Mail | Stage::Other => Fault::MailTemporary,
                Stage::Rcpt => Fault::RcptTemporary,
                Stage::Data => Fault::DataTemporary,
                Stage::End => Fault::EndTemporary,
            },
            Kind::Permanent => match stage {
                Stage::Greeting => Fault::GreetingPermanent,
                Stage::Ehlo => Fault::EhloPermanent,
                Stage::StartTls => Fault::StartTlsPermanent,
                Stage::Mail | Stage::Other => Fault::MailPermanent,
                Stage::Rcpt => Fault::RcptPermanent,
                Stage::Data => Fault::DataPermanent,
                Stage::End => Fault::EndPermanent,
            },
            // What is lost of a final reply was counted with the copy.
            Kind::Broken | Kind::Injected => return None,
            _ if stage == Stage::End => return None,
            Kind::Silent => Fault::ReplySilent,
            Kind::Trickle => Fault::ReplyTrickles,
            Kind::Garbage => Fault::ReplyGarbage,
            Kind::Overlong => Fault::ReplyOverlong,
            Kind::Endless => Fault::ReplyEndless,
            Kind::Hangup => Fault::Hangup,
        })
    }

    /// A refusal in words.
    pub(super) fn reply(self, stage: Stage) -> &'static str {
        match (self, stage) {
            (Kind::Temporary, Stage::StartTls) => "454 4.7.0 TLS not available now\r\n",
            (Kind::Temporary, _) => "451 4.3.0 later\r\n",
            // RFC 5321 §3.2: whoever does not know EHLO is spoken to in HELO.
            (_, Stage::Ehlo) => "502 5.5.1 no EHLO here\r\n",
            (_, Stage::StartTls) => "502 5.5.1 no TLS here\r\n",
            (_, Stage::Greeting) => "554 5.3.2 no SMTP service here\r\n",
            _ => "550 5.0.0 no\r\n",
        }
    }
}
