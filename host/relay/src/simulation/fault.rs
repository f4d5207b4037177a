//! Every kind of fault there is, each counted where it really strikes and not where it was drawn.

/// Makes the enum and the list of all its kinds, so that none is forgotten in a count.
macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// One kind of fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) enum Fault { $($(#[$doc])* $name,)* }

        /// All kinds, in the order of the table that a run prints.
        pub(super) const FAULTS: &[Fault] = &[$(Fault::$name,)*];
    };
}

faults! {
    /// A next hop's connection is reset at an octet that the relay sends.
    ResetWhileSending,
    /// A next hop's connection is reset at an octet that the relay reads.
    ResetWhileReading,
    /// A next hop refuses the connection.
    ConnectionRefused,
    /// Nobody answers at a next hop's address.
    ConnectionSilent,
    /// A reply comes late, but in time.
    ReplyDelayed,
    /// A reply never comes.
    ReplySilent,
    /// A reply comes octet by octet and is over time before it is whole.
    ReplyTrickles,
    /// The reply is no reply.
    ReplyGarbage,
    /// The reply is one endless line.
    ReplyOverlong,
    /// The reply never gets to its last line.
    ReplyEndless,
    /// 421 at any command, and the end of the connection.
    Goodbye,
    /// The connection ends where a reply is due.
    Hangup,
    /// 4xx as a greeting.
    GreetingTemporary,
    /// 5xx as a greeting.
    GreetingPermanent,
    /// 4xx to EHLO.
    EhloTemporary,
    /// 5xx to EHLO, and to HELO behind it.
    EhloPermanent,
    /// 454 to STARTTLS.
    StartTlsTemporary,
    /// 5xx to STARTTLS.
    StartTlsPermanent,
    /// 220 to STARTTLS and then no TLS.
    HandshakeBroken,
    /// More octets behind the 220 to STARTTLS.
    InjectedBehind220,
    /// 4xx to MAIL.
    MailTemporary,
    /// 5xx to MAIL.
    MailPermanent,
    /// 4xx to RCPT.
    RcptTemporary,
    /// 5xx to RCPT.
    RcptPermanent,
    /// 4xx to DATA.
    DataTemporary,
    /// 5xx to DATA.
    DataPermanent,
    /// 4xx to the end of the data.
    EndTemporary,
    /// 5xx to the end of the data.
    EndPermanent,
    /// The host has the message, and its 250 is lost with the connection.
    FinalReplyLost,
    /// The host has the message and never says so.
    FinalReplySilent,
    /// The host has the message and says so in words nobody understands.
    FinalReplyGarbled,
    /// The MX look-up fails.
    MxInconclusive,
    /// The domain is said not to exist.
    MxNoSuchName,
    /// The look-up of a host's addresses fails.
    AddressesInconclusive,
    /// A host is said not to exist.
    AddressesNoSuchName,
    /// TLSA records cannot be looked up.
    TlsaInconclusive,
    /// The record of MTA-STS cannot be looked up.
    TxtInconclusive,
    /// The record of MTA-STS is gone, or announces a policy that is not to be had.
    TxtChanged,
    /// The body of a message is not taken by the store.
    ContentError,
    /// A commit fails.
    CommitError,
    /// A commit is told to have failed and did not.
    CommitErrorThoughWritten,
    /// A settlement fails.
    SettleError,
    /// A settlement is told to have failed and did not.
    SettleErrorThoughWritten,
    /// A claim fails.
    ClaimError,
    /// A claim fails and leaves its leases behind.
    ClaimErrorThoughWritten,
    /// A lease is not renewed.
    RenewError,
    /// A body cannot be read.
    BodyError,
    /// Ledger records cannot be appended.
    AppendError,
    /// The next due time cannot be read.
    NextDueError,
    /// No policy decides on an arrival.
    DecisionFailedOnReceive,
    /// No policy plans.
    DecisionFailedOnPlan,
    /// No policy judges.
    DecisionFailedOnJudge,
    /// The relay dies, and another is started on what it left.
    Crash,
    /// The relay dies between the acceptance of a message by a host and the settlement of it.
    CrashBehindDelivery,
    /// A sender's connection is reset at an octet that it sends.
    SenderResetWhileReading,
    /// A sender's connection is reset at an octet that it should hear.
    SenderResetWhileSending,
    /// A sender falls silent in the middle of its message.
    SenderSilent,
    /// A sender puts commands behind STARTTLS.
    SenderInjects,
    /// A sender says what is no command.
    SenderGarbage,
}

/// How often each kind struck.
#[derive(Clone)]
pub(super) struct Struck(Vec<u64>);

impl Default for Struck {
    fn default() -> Struck {
        Struck(vec![0; FAULTS.len()])
    }
}

impl Struck {
    /// It struck once more.
    pub(super) fn add(&mut self, fault: Fault) {
        self.0[fault as usize] += 1;
    }

    /// Both together.
    pub(super) fn join(&mut self, other: &Struck) {
        self.0.iter_mut().zip(&other.0).for_each(|(mine, others)| *mine += others);
    }

    /// Each kind with its count.
    pub(super) fn counts(&self) -> impl Iterator<Item = (Fault, u64)> {
        FAULTS.iter().copied().zip(self.0.iter().copied())
    }
}
