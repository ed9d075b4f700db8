//! A PostgreSQL that is too old, as far as its greeting goes.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;

use anyhow::{Context as _, Result};

/// The number with which a client asks for TLS before it says who it is.
const TLS_WANTED: u32 = 80_877_103;

/// Starts the server, which lives as long as this process, and gives its URL.
pub(crate) fn start(version: &'static str) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            // A client that does not like what it hears hangs up.
            thread::spawn(move || greet(client, version));
        }
    });
    Ok(format!("postgres://berth:password@{address}/berth"))
}

fn greet(mut client: TcpStream, version: &str) -> Result<()> {
    while first_word(&mut client)? == TLS_WANTED {
        client.write_all(b"N")?;
    }
    let mut greeting = message(b'R', &0_u32.to_be_bytes());
    for (name, value) in [("server_version", version), ("client_encoding", "UTF8")] {
        greeting.extend(message(b'S', format!("{name}\0{value}\0").as_bytes()));
    }
    greeting.extend(message(b'K', &[0; 8]));
    greeting.extend(message(b'Z', b"I"));
    client.write_all(&greeting)?;
    // Whatever it is asked, it knows nothing more.
    std::io::copy(&mut client, &mut std::io::sink())?;
    Ok(())
}

/// Reads a message that has no type, and gives its first four bytes.
fn first_word(client: &mut TcpStream) -> Result<u32> {
    let mut length = [0; 4];
    client.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length).checked_sub(4).context("a length below 4")?;
    let mut body = vec![0; length as usize];
    client.read_exact(&mut body)?;
    let word = body.first_chunk().context("an empty message")?;
    Ok(u32::from_be_bytes(*word))
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut message = vec![kind];
    message.extend((body.len() as u32 + 4).to_be_bytes());
    message.extend_from_slice(body);
    message
}
