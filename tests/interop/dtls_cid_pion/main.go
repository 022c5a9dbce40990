// A DTLS 1.2 client with Connection ID (RFC 9146) by pion/dtls, for tests of other implementations.
//
//	dtls_cid_pion ADDRESS IDENTITY KEY-IN-HEX SUITE CID-LENGTH
//
// It shakes hands with a pre-shared key and prints "connected". Then it obeys the lines of its standard
// input: "send HEX" sends a message, "move" goes on from another source port. What arrives is printed as
// "received HEX". With a CID-LENGTH of 0 only the server's Connection ID is used.
package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"fmt"
	"log"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pion/dtls/v3"
)

// roamer is a socket that can be replaced while it is used.
type roamer struct {
	mutex sync.Mutex
	conn  *net.UDPConn
}

func open() *net.UDPConn {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		log.Fatal(err)
	}
	return conn
}

func (r *roamer) current() *net.UDPConn {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return r.conn
}

func (r *roamer) move() {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	old := r.conn
	r.conn = open()
	old.Close()
}

func (r *roamer) ReadFrom(p []byte) (int, net.Addr, error) {
	for {
		conn := r.current()
		n, from, err := conn.ReadFrom(p)
		if err == nil || conn == r.current() {
			return n, from, err
		}
	}
}

func (r *roamer) WriteTo(p []byte, to net.Addr) (int, error) { return r.current().WriteTo(p, to) }
func (r *roamer) Close() error                               { return r.current().Close() }
func (r *roamer) LocalAddr() net.Addr                        { return r.current().LocalAddr() }
func (r *roamer) SetDeadline(t time.Time) error              { return r.current().SetDeadline(t) }
func (r *roamer) SetReadDeadline(t time.Time) error          { return r.current().SetReadDeadline(t) }
func (r *roamer) SetWriteDeadline(t time.Time) error         { return r.current().SetWriteDeadline(t) }

var suites = map[string]dtls.CipherSuiteID{
	"PSK-AES128-CCM8":       dtls.TLS_PSK_WITH_AES_128_CCM_8,
	"PSK-AES128-CCM":        dtls.TLS_PSK_WITH_AES_128_CCM,
	"PSK-AES128-GCM-SHA256": dtls.TLS_PSK_WITH_AES_128_GCM_SHA256,
	"PSK-AES128-CBC-SHA256": dtls.TLS_PSK_WITH_AES_128_CBC_SHA256,
}

func main() {
	server, err := net.ResolveUDPAddr("udp4", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	key, err := hex.DecodeString(os.Args[3])
	if err != nil {
		log.Fatal(err)
	}
	length, err := strconv.Atoi(os.Args[5])
	if err != nil {
		log.Fatal(err)
	}
	roaming := &roamer{conn: open()}
	conn, err := dtls.Client(roaming, server, &dtls.Config{
		PSK:                   func([]byte) ([]byte, error) { return key, nil },
		PSKIdentityHint:       []byte(os.Args[2]),
		CipherSuites:          []dtls.CipherSuiteID{suites[os.Args[4]]},
		ExtendedMasterSecret:  dtls.RequireExtendedMasterSecret,
		ConnectionIDGenerator: dtls.RandomCIDGenerator(length),
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		log.Fatal(err)
	}
	fmt.Println("connected")
	go print(conn)
	obey(conn, roaming)
	conn.Close()
}

func print(conn *dtls.Conn) {
	buffer := make([]byte, 65536)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			fmt.Println("closed", err)
			return
		}
		fmt.Println("received", hex.EncodeToString(buffer[:n]))
	}
}

func obey(conn *dtls.Conn, roaming *roamer) {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		switch word {
		case "move":
			roaming.move()
		case "send":
			message, err := hex.DecodeString(rest)
			if err != nil {
				log.Fatal(err)
			}
			if _, err := conn.Write(message); err != nil {
				log.Fatal(err)
			}
		}
	}
}
