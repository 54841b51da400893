use super::answer::{Answer, Work};
use super::caches::SharedCaches;
use super::table::Table;
use super::target::Target;
#[cfg(feature = "server")]
use crate::base::Error;
use crate::web::body::Body;
use crate::web::catcher::Catchers;
use crate::web::components::Components;
use crate::web::middleware::{BoxMiddleware, Next, Terminus};
use crate::web::request::{Known, Request, RequestParts};
#[cfg(feature = "server")]
use crate::web::response::IntoResponse as _;
use crate::web::response::Response;
use crate::web::state::AppState;
use http::Method;
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

/// An application that is ready to answer: immutable, and shared by all workers.
#[derive(Clone)]
pub struct Site {
    pub(super) table: Arc<Table>,
    pub(super) state: Arc<AppState>,
}

impl Site {
    /// What requests may know of the application.
    pub fn state(&self) -> &Arc<AppState> {
        &self.state
    }

    /// The engines of the routes' caches.
    pub(crate) fn caches(&self) -> &SharedCaches {
        &self.table.caches
    }

    /// A copy whose reference counts are its own, so that workers do not contend for them.
    #[cfg(feature = "server")]
    pub(crate) fn own_copy(&self) -> Self {
        Self { table: self.table.clone(), state: Arc::new(AppState::clone(&self.state)) }
    }

    /// The same site with these components.
    pub(crate) fn with_components(&self, components: Components) -> Self {
        let (routes, max_body_size) = (self.state.routes.clone(), self.state.max_body_size);
        let state = AppState { components, routes, max_body_size };
        Self { table: self.table.clone(), state: Arc::new(state) }
    }

    /// Answers a request. `remote` is the address of the peer, where there is one.
    pub fn answer(
        self: &Arc<Self>,
        request: http::Request<Body>,
        remote: Option<SocketAddr>,
    ) -> Answer {
        let (mut head, body) = request.into_parts();
        // An application that is mounted in another one of ours has the address from that.
        let outer = head.extensions.remove::<Known>();
        let remote = remote.or_else(|| outer.and_then(|known| known.remote));
        self.answer_parts(head, body, remote)
    }

    /// As [`Site::answer`], of a request that has been taken apart and comes from nobody else.
    #[inline]
    pub(crate) fn answer_parts(
        self: &Arc<Self>,
        mut head: http::request::Parts,
        body: Body,
        remote: Option<SocketAddr>,
    ) -> Answer {
        let is_head = head.method == Method::HEAD;
        let (target, matched) = self.table.find(&head);
        let (route, state) = (matched.route, self.state.clone());
        let answer = |work| Answer { work, is_head, route, state };
        if let Target::Route(index) = target {
            // Each is returned from where it is made, as an answer is large and a copy of it takes its time.
            let found = &self.table.endpoints[index as usize];
            if let Some(kept) = found.kept(&mut head, &body) {
                return answer(Work::Done(kept));
            }
            if let Some(handler) = found.call_without_request() {
                return answer(Work::Handler(handler));
            }
        }
        let body =
            body.limit(self.table.max_body_size(&target).unwrap_or(self.state.max_body_size));
        let parts = RequestParts::new(head, self.state.clone(), matched, remote);
        let request = Request::from_parts(parts, body);
        let work = match target {
            Target::Route(index) => match &self.table.endpoints[index as usize] {
                route if route.is_plain() => Work::Handler(route.endpoint.call(request)),
                _ => self.layered(request, target, route),
            },
            _ if route.is_none()
                && self.table.middleware.is_empty()
                && self.table.catchers.is_empty() =>
            {
                Work::Done(target.respond())
            }
            _ => self.layered(request, target, route),
        };
        answer(work)
    }

    /// Answers a request that nobody should look at.
    #[cfg(feature = "server")]
    pub(crate) fn refuse(&self, error: Error) -> Answer {
        let work = Work::Done(error.into_response());
        Answer { work, is_head: false, route: None, state: self.state.clone() }
    }

    /// The long way, for requests with more than a handler. What stands around the answer is that of a route,
    /// if there is one.
    fn layered(self: &Arc<Self>, mut request: Request, target: Target, route: Option<u32>) -> Work {
        let touched = match route {
            Some(index) => self.table.endpoints[index as usize].touches_response,
            None => self.table.touches_response,
        };
        let changes = touched.then(|| request.share_changes());
        let elsewhere = match route {
            Some(_) => Catchers::default(),
            None => self.table.catchers.above(request.path()),
        };
        let mut end = End { site: self.clone(), target, route, elsewhere, head: None };
        // Middleware can fail as well, and a catcher answer in its place.
        if !end.middleware().is_empty() && end.catchers().look_at_request() {
            end.head = Some(request.parts().clone());
        }
        let end: Arc<dyn Terminus> = Arc::new(end);
        Work::Layered(Box::pin(async move {
            let response = Next::new(end).run(request).await;
            match changes {
                Some(changes) => changes.apply(response).await,
                None => response,
            }
        }))
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site").field("state", &self.state).finish_non_exhaustive()
    }
}

/// What stands behind the last middleware.
struct End {
    site: Arc<Site>,
    target: Target,
    /// The route whose middleware and catchers stand around the target.
    route: Option<u32>,
    /// The catchers of a path that leads nowhere.
    elsewhere: Catchers,
    /// For catchers that answer in place of middleware, and look at the request.
    head: Option<RequestParts>,
}

impl End {
    /// The catchers for whatever goes wrong on this way.
    fn catchers(&self) -> &Catchers {
        match self.route {
            Some(index) => &self.site.table.endpoints[index as usize].catchers,
            None => &self.elsewhere,
        }
    }
}

impl Terminus for End {
    fn middleware(&self) -> &[BoxMiddleware] {
        let table = &self.site.table;
        match self.route {
            Some(index) => &table.endpoints[index as usize].middleware,
            None => &table.middleware,
        }
    }

    fn answer(&self, request: Request) -> Pin<Box<dyn Future<Output = Response> + Send + '_>> {
        Box::pin(async move {
            match &self.target {
                Target::Route(index) => {
                    self.site.table.endpoints[*index as usize].answer(request).await
                }
                elsewhere => {
                    let (mut parts, _) = request.into_parts();
                    let response = elsewhere.clone().respond();
                    // Middleware may have changed the path.
                    let catchers = self.site.table.catchers.above(parts.path());
                    catchers.catch(response, Some(&mut parts)).await
                }
            }
        })
    }

    fn catches(&self, response: &Response) -> bool {
        self.catchers().are_for(response)
    }

    fn catch(&self, response: Response) -> Pin<Box<dyn Future<Output = Response> + Send + '_>> {
        Box::pin(async move {
            let mut head = self.head.clone();
            self.catchers().catch(response, head.as_mut()).await
        })
    }
}
