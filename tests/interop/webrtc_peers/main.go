// A peer of go-libp2p that speaks WebRTC-direct alone, to test against: `listen` prints its address and echoes until its input
// ends, `dial <address>` pings, sends 3 MB there and back and prints `done`.
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	webrtc "github.com/libp2p/go-libp2p/p2p/transport/webrtc"
	"github.com/multiformats/go-multiaddr"
)

const protocol = "/test/echo/1.0"

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	options := []libp2p.Option{libp2p.Transport(webrtc.New), libp2p.DisableRelay(), libp2p.NoListenAddrs}
	if args[0] == "listen" {
		options[2] = libp2p.ListenAddrStrings("/ip4/127.0.0.1/udp/0/webrtc-direct")
	}
	node, err := libp2p.New(options...)
	if err != nil {
		return err
	}
	defer node.Close()
	if args[0] == "dial" {
		return dial(node, args[1])
	}
	node.SetStreamHandler(protocol, func(stream network.Stream) {
		io.Copy(stream, stream)
		stream.Close()
	})
	fmt.Printf("%s/p2p/%s\n", node.Addrs()[0], node.ID())
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func dial(node host.Host, text string) error {
	address, err := multiaddr.NewMultiaddr(text)
	if err != nil {
		return err
	}
	info, err := peer.AddrInfoFromP2pAddr(address)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := node.Connect(ctx, *info); err != nil {
		return err
	}
	pinging, stop := context.WithCancel(ctx)
	result := <-ping.Ping(pinging, node, info.ID)
	stop()
	if result.Error != nil {
		return result.Error
	}
	stream, err := node.NewStream(ctx, info.ID, protocol)
	if err != nil {
		return err
	}
	sent := make([]byte, 3_000_000)
	rand.Read(sent)
	go func() {
		stream.Write(sent)
		stream.CloseWrite()
	}()
	got, err := io.ReadAll(stream)
	if err != nil {
		return err
	}
	if !bytes.Equal(sent, got) {
		return fmt.Errorf("%d other bytes came back", len(got))
	}
	fmt.Println("done")
	return nil
}
