//! A codec for servers that send one message to many: requests are decoded as
//! usual, responses are already encoded and only pass through.

use std::marker::PhantomData;

use bytes::{BufMut as _, Bytes};
use prost::Message;
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, EncodeBuf, Encoder};
use tonic_prost::{ProstCodec, ProstDecoder};

/// What a stream's encoder first allocates. tonic's default of 8 KiB for each
/// idle stream is most of what such a stream costs.
const BUFFER_BYTES: usize = 1024;

/// From so many buffered bytes on, tonic hands them to the connection.
const YIELD_BYTES: usize = 32 * 1024;

/// Decodes requests of type `Request`, sends responses that are encoded
/// already.
#[derive(Debug, Clone, Copy)]
pub struct PassThrough<Request>(PhantomData<Request>);

impl<Request> Default for PassThrough<Request> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<Request: Message + Default + 'static> Codec for PassThrough<Request> {
    type Encode = Bytes;
    type Decode = Request;
    type Encoder = PassThroughEncoder;
    type Decoder = ProstDecoder<Request>;

    fn encoder(&mut self) -> Self::Encoder {
        PassThroughEncoder
    }

    fn decoder(&mut self) -> Self::Decoder {
        // The request's type is all that the decoder depends on.
        ProstCodec::<Request, Request>::default().decoder()
    }
}

/// Writes bytes as they are.
#[derive(Debug, Clone, Copy)]
pub struct PassThroughEncoder;

impl Encoder for PassThroughEncoder {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(message);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER_BYTES, YIELD_BYTES)
    }
}
