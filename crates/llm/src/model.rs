//! The interface that every source of replies has.

use crate::error::Error;
use crate::key::Identity;
use crate::reply::Reply;
use crate::request::Request;

/// Something that answers requests: blocking, and many at a time.
pub trait Model {
    /// Which model this is. Its answers are kept under it.
    fn identity(&self) -> &Identity;

    /// Answers each request and hands each outcome over as soon as it is there, once per request, in any order, by the
    /// request's position. What has been handed over is not lost when the process ends.
    ///
    /// One failed request does not end the others, unless they would all fail for the same reason; then they are given
    /// that error without being sent.
    fn answer(&self, requests: &[Request], arrived: &mut dyn FnMut(usize, Result<Reply, Error>));

    /// Answers each request, in the order of the requests.
    fn complete(&self, requests: &[Request]) -> Vec<Result<Reply, Error>> {
        let mut replies: Vec<_> = requests.iter().map(|_| None).collect();
        self.answer(requests, &mut |position, outcome| replies[position] = Some(outcome));
        replies.into_iter().map(|reply| reply.unwrap_or(Err(Error::Unanswered))).collect()
    }
}

impl<M: Model + ?Sized> Model for &M {
    fn identity(&self) -> &Identity {
        (**self).identity()
    }

    fn answer(&self, requests: &[Request], arrived: &mut dyn FnMut(usize, Result<Reply, Error>)) {
        (**self).answer(requests, arrived);
    }
}

impl<M: Model + ?Sized> Model for Box<M> {
    fn identity(&self) -> &Identity {
        (**self).identity()
    }

    fn answer(&self, requests: &[Request], arrived: &mut dyn FnMut(usize, Result<Reply, Error>)) {
        (**self).answer(requests, arrived);
    }
}
