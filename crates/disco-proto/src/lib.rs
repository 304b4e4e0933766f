//! Wire messages of the disco/1 protocol and their bounded codec.
