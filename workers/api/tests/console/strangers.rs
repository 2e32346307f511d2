//! What others put before an operator: forms of their own sites, and texts that would be more than texts.

use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::house::House;
use crate::pipeline::Outcome;

/// Another site on this machine, for which a browser sends the cookie as well: it shows this page, whatever it is asked.
async fn site(page: String) -> Outcome<String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = format!("http://{}/", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            if stream.read(&mut request).await.is_ok() {
                let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/html\r\ncontent-length";
                let answer = format!("{head}: {}\r\n\r\n{page}", page.len());
                // Who asks may be gone.
                drop(stream.write_all(answer.as_bytes()).await);
            }
        }
    });
    Ok(address)
}

/// A form that another site sends is refused though the cookie comes with it and its signature is right; and so is one of ours
/// without the signature.
pub(crate) async fn forged(house: &House) -> Outcome {
    let kim = &house.kim;
    let signature = kim.runs("return document.querySelector('[name=signature]').value").await?;
    let signature = signature.as_str().ok_or("no form is signed")?;
    let action = format!("http://{}/console/logout", house.door.api.address());
    let form = format!(
        "<form method=post action='{action}'><input name=signature value='{signature}'><button>Win a pen</button></form>"
    );
    kim.browser.load(&site(form).await?).await?;
    kim.clicks("Win a pen").await?;
    kim.goes_to("/console").await?;
    kim.sees("kim").await
}
