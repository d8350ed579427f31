module agentanycast.test/webrtc

go 1.23

require github.com/libp2p/go-libp2p v0.41.1
