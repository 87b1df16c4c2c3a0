//! What a handler is: a plain async function of its caller and typed extractors. Its signature is
//! the contract of its operation.

use std::pin::Pin;

use super::{
    answer::{Answered, Success},
    call::Call,
    contract::Contract,
    error::ApiError,
    extract::Extract,
    schemas::SchemaOf,
};

pub(super) type Answering = Pin<Box<dyn Future<Output = Answered> + Send>>;

/// An async function whose first parameter is its caller and whose others are extractors.
/// `Arguments` is the tuple of the others; it keeps the implementations apart.
pub(super) trait Handler<Caller, Arguments>: Copy + Send + Sync + 'static {
    /// What the signature takes and answers.
    fn contract() -> Contract;

    /// Reads the arguments from a request and answers it.
    fn answer(self, caller: Caller, call: Call) -> Answering;
}

macro_rules! handler {
    ($($argument:ident $name:ident),*) => {
        impl<Function, Caller, Answer, Running, $($argument),*> Handler<Caller, ($($argument,)*)>
            for Function
        where
            Function: Fn(Caller, $($argument),*) -> Running + Copy + Send + Sync + 'static,
            Caller: Send + 'static,
            Running: Future<Output = Result<Answer, ApiError>> + Send,
            Answer: Success,
            $($argument: Extract,)*
        {
            fn contract() -> Contract {
                describe(Answer::SCHEMA, &[$($argument::describe),*])
            }

            fn answer(self, caller: Caller, mut call: Call) -> Answering {
                Box::pin(async move {
                    let call = &mut call;
                    // In the order of the signature, so that a request with several faults is
                    // always refused for the same one.
                    $(let $name = $argument::extract(call)?;)*
                    let _ = call;
                    Ok(self(caller, $($name),*).await?.into_reply())
                })
            }
        }
    };
}

handler!();
handler!(A a);
handler!(A a, B b);
handler!(A a, B b, C c);
handler!(A a, B b, C c, D d);
handler!(A a, B b, C c, D d, E e);

fn describe(answer: SchemaOf, arguments: &[fn(&mut Contract)]) -> Contract {
    let mut contract = Contract::new(answer);
    for argument in arguments {
        argument(&mut contract);
    }
    contract
}
