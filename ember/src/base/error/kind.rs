use http::StatusCode;

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $status:ident, $sentence:literal;)*) => {
        /// What class of failure an [`Error`](crate::Error) is; each has one HTTP status.
        ///
        /// The statuses are those of RFC 9110 §15 and RFC 6585; 499 is nginx's name for
        /// a client that left before the answer.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorKind {
            $($(#[$doc])* $kind,)*
            /// The client closed the connection before the answer (499).
            ClientClosed,
        }

        impl ErrorKind {
            /// Returns the HTTP status of this kind.
            pub fn status(self) -> StatusCode {
                match self {
                    $(Self::$kind => StatusCode::$status,)*
                    Self::ClientClosed => client_closed(),
                }
            }

            /// Returns the kind of a status; of an unknown one, the general kind of its class.
            pub fn from_status(status: StatusCode) -> Self {
                match status {
                    $(StatusCode::$status => Self::$kind,)*
                    _ if status == client_closed() => Self::ClientClosed,
                    _ if status.is_client_error() => Self::BadRequest,
                    _ => Self::Internal,
                }
            }

            /// Returns the public sentence that is sent when there is nothing better to say.
            pub(crate) fn sentence(self) -> &'static str {
                match self {
                    $(Self::$kind => $sentence,)*
                    Self::ClientClosed => "The client closed the connection.",
                }
            }
        }
    };
}

kinds! {
    /// The request is malformed (400).
    BadRequest = BAD_REQUEST, "The request is malformed.";
    /// Nobody is authenticated (401).
    Unauthorized = UNAUTHORIZED, "Authentication is required.";
    /// Something must be paid first (402).
    PaymentRequired = PAYMENT_REQUIRED, "The budget for this request is used up.";
    /// Whoever is authenticated may not do this (403).
    Forbidden = FORBIDDEN, "Access is denied.";
    /// Nothing is at this address (404).
    NotFound = NOT_FOUND, "Nothing was found at this address.";
    /// The address exists, but not for this method (405).
    MethodNotAllowed = METHOD_NOT_ALLOWED, "This address does not answer to this method.";
    /// No offered representation is acceptable (406).
    NotAcceptable = NOT_ACCEPTABLE, "No acceptable representation is available.";
    /// The client was too slow (408).
    RequestTimeout = REQUEST_TIMEOUT, "The request did not arrive in time.";
    /// The request contradicts the present state (409).
    Conflict = CONFLICT, "The request contradicts the present state.";
    /// What was here is gone for good (410).
    Gone = GONE, "What was here is gone.";
    /// What the request was to depend on does not hold (412).
    PreconditionFailed = PRECONDITION_FAILED, "What the request depends on does not hold.";
    /// The body is larger than the limit (413).
    PayloadTooLarge = PAYLOAD_TOO_LARGE, "The request body is too large.";
    /// The address is longer than the limit (414).
    UriTooLong = URI_TOO_LONG, "The address is too long.";
    /// The body has a type that is not understood (415).
    UnsupportedMediaType = UNSUPPORTED_MEDIA_TYPE, "The type of the request body is not supported.";
    /// None of the range that is asked for is there (416).
    RangeNotSatisfiable = RANGE_NOT_SATISFIABLE, "The range that is asked for is not there.";
    /// The body is well formed and still wrong (422).
    Unprocessable = UNPROCESSABLE_ENTITY, "The request cannot be processed.";
    /// The address speaks another protocol only (426).
    UpgradeRequired = UPGRADE_REQUIRED, "This address speaks another protocol.";
    /// A limit is used up (429).
    TooManyRequests = TOO_MANY_REQUESTS, "Too many requests.";
    /// The header section is larger than the limit (431).
    HeadersTooLarge = REQUEST_HEADER_FIELDS_TOO_LARGE, "The request headers are too large.";
    /// The server is at fault (500).
    Internal = INTERNAL_SERVER_ERROR, "The server failed to answer this request.";
    /// The server cannot do this (501).
    NotImplemented = NOT_IMPLEMENTED, "This is not supported.";
    /// A server behind this one answered wrongly (502).
    BadGateway = BAD_GATEWAY, "A service behind this one failed.";
    /// The server cannot answer now (503).
    Unavailable = SERVICE_UNAVAILABLE, "The service is not available at the moment.";
    /// A server behind this one did not answer in time (504).
    GatewayTimeout = GATEWAY_TIMEOUT, "A service behind this one did not answer in time.";
}

fn client_closed() -> StatusCode {
    // 499 lies within the range that `StatusCode` accepts.
    StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_statuses_agree() {
        for status in (400..=599).filter_map(|code| StatusCode::from_u16(code).ok()) {
            let kind = ErrorKind::from_status(status);
            assert_eq!(kind.status().is_client_error(), status.is_client_error());
            assert_eq!(ErrorKind::from_status(kind.status()), kind);
        }
        assert_eq!(ErrorKind::from_status(StatusCode::IM_A_TEAPOT), ErrorKind::BadRequest);
        assert_eq!(ErrorKind::ClientClosed.status(), 499);
    }
}
