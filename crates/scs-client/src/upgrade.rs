//! A connection that becomes a plain stream of bytes in both directions.

use crate::client::{Client, problem};
use crate::error::Error;
use http_body_util::BodyExt as _;
use hyper::upgrade::Upgraded;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;

impl Client {
    /// Asks for the path as a stream of bytes of this protocol; what follows is between the two ends. Dropping it ends it.
    ///
    /// # Errors
    /// Where nobody answers, or it is refused.
    pub async fn upgrade(&self, path: &str, protocol: &'static str) -> Result<TokioIo<Upgraded>, Error> {
        let asked = self.asked(path);
        let request = Request::get(path)
            .header(header::HOST, "scs")
            .header(header::CONNECTION, "upgrade")
            .header(header::UPGRADE, protocol)
            .body(http_body_util::Empty::<bytes::Bytes>::new())
            .map_err(|source| Error::Unaskable { path: path.to_owned(), source })?;
        let upgraded = async {
            let stream = TokioIo::new(self.target.connect().await?);
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(stream).await.map_err(|error| asked.broken(error))?;
            tokio::spawn(connection.with_upgrades());
            let answer = sender.send_request(request).await.map_err(|error| self.broken(path, error))?;
            if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
                let status = answer.status();
                let body = answer.into_body().collect().await.map(http_body_util::Collected::to_bytes);
                return Err(Error::refused(problem(status, &body.unwrap_or_default(), path)));
            }
            hyper::upgrade::on(answer).await.map_err(|error| asked.broken(error))
        };
        Ok(TokioIo::new(self.patient(path, upgraded).await?))
    }
}
