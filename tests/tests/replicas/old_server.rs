//! A PostgreSQL that is too old: it knows its version and little else.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;

use anyhow::{Context as _, Result};

/// The number with which a client asks for TLS before it says who it is.
const TLS_WANTED: u32 = 80_877_103;
/// The numbers of types.
const BOOL: u32 = 16;
const TEXT: u32 = 25;

/// Starts a server of a major version, which lives as long as this process, and gives its URL.
pub(crate) fn start(version: u32) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            // A client that does not like what it hears hangs up.
            thread::spawn(move || talk(client, version));
        }
    });
    Ok(format!("postgres://berth:password@{address}/berth"))
}

fn talk(mut client: TcpStream, version: u32) -> Result<()> {
    while first_word(&mut client)? == TLS_WANTED {
        client.write_all(b"N")?;
    }
    let mut greeting = message(b'R', &0_u32.to_be_bytes());
    for (name, value) in [("server_version", &*version.to_string()), ("client_encoding", "UTF8")] {
        greeting.extend(message(b'S', format!("{name}\0{value}\0").as_bytes()));
    }
    greeting.extend(message(b'K', &[0; 8]));
    client.write_all(&greeting)?;
    loop {
        client.write_all(&message(b'Z', b"I"))?;
        let mut kind = [0];
        client.read_exact(&mut kind)?;
        let statement = body(&mut client)?;
        client.write_all(&answer(&String::from_utf8_lossy(&statement), version))?;
    }
}

/// What it says to a statement.
fn answer(statement: &str, version: u32) -> Vec<u8> {
    let done = message(b'C', b"SELECT 1\0");
    match statement {
        s if s.contains("server_version_num") => {
            [row(TEXT, &format!("{version}0022")), done].concat()
        }
        s if s.contains("pg_is_in_recovery") => [row(BOOL, "f"), done].concat(),
        _ => done,
    }
}

/// A row of one column, with what describes it.
fn row(kind: u32, value: &str) -> Vec<u8> {
    let mut column = [0, 1].to_vec();
    column.extend_from_slice(b"column\0");
    // No table; then the type, its length and modifier, and that values are text.
    column.extend_from_slice(&[0; 6]);
    column.extend_from_slice(&kind.to_be_bytes());
    column.extend_from_slice(&(-1_i16).to_be_bytes());
    column.extend_from_slice(&(-1_i32).to_be_bytes());
    column.extend_from_slice(&[0, 0]);
    let mut data = [0, 1].to_vec();
    data.extend_from_slice(&(value.len() as u32).to_be_bytes());
    data.extend_from_slice(value.as_bytes());
    [message(b'T', &column), message(b'D', &data)].concat()
}

/// Reads a message that has no type, and gives its first four bytes.
fn first_word(client: &mut TcpStream) -> Result<u32> {
    let body = body(client)?;
    let word = body.first_chunk().context("an empty message")?;
    Ok(u32::from_be_bytes(*word))
}

/// Reads a message behind its type.
fn body(client: &mut TcpStream) -> Result<Vec<u8>> {
    let mut length = [0; 4];
    client.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length).checked_sub(4).context("a length below 4")?;
    let mut body = vec![0; length as usize];
    client.read_exact(&mut body)?;
    Ok(body)
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut message = vec![kind];
    message.extend((body.len() as u32 + 4).to_be_bytes());
    message.extend_from_slice(body);
    message
}
