// Peer: grpc-go, sending sound in bursts (grpc.io, Go, "Basics tutorial").
//
// The three calls are registered by hand, as protoc-gen-go-grpc would generate it.
package main

import (
	"encoding/binary"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/metadata"
)

type deviceService struct {
	clip    []*audioPacket
	lead    int
	mutex   sync.Mutex
	devices map[string]*device
}

// device returns the device that the metadata of a call names.
func (s *deviceService) device(stream grpc.ServerStream) *device {
	md, _ := metadata.FromIncomingContext(stream.Context())
	id := md.Get("device_id")[0]
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.devices[id] == nil {
		s.devices[id] = newDevice()
	}
	return s.devices[id]
}

// statusStream sends the LEDs when they change; the next ones when these are answered.
func statusStream(server interface{}, stream grpc.ServerStream) error {
	d := server.(*deviceService).device(stream)
	for {
		select {
		case <-d.ledsChanged:
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
		if err := stream.SendMsg(d.leds()); err != nil {
			return err
		}
		if err := stream.RecvMsg(&ignored{}); err != nil {
			return err
		}
	}
}

// eventStream acknowledges each press at once.
func eventStream(server interface{}, stream grpc.ServerStream) error {
	d := server.(*deviceService).device(stream)
	for {
		var event deviceEvent
		if err := stream.RecvMsg(&event); err != nil {
			return err
		}
		d.press(&event)
		if err := stream.SendMsg(&deviceEventResponse{ack: event.hasButton}); err != nil {
			return err
		}
	}
}

// serverAudioStream streams the sound that the device plays.
func serverAudioStream(server interface{}, stream grpc.ServerStream) error {
	if err := stream.RecvMsg(&ignored{}); err != nil {
		return err
	}
	s := server.(*deviceService)
	return s.device(stream).sound(s.clip, s.lead, stream)
}

var description = grpc.ServiceDesc{
	ServiceName: "com.opalcamera.test.DeviceService",
	HandlerType: (*interface{})(nil),
	Streams: []grpc.StreamDesc{
		{StreamName: "StatusStream", Handler: statusStream, ServerStreams: true, ClientStreams: true},
		{StreamName: "EventStream", Handler: eventStream, ServerStreams: true, ClientStreams: true},
		{StreamName: "ServerAudioStream", Handler: serverAudioStream, ServerStreams: true},
	},
}

// readClip reads packets with their length in front, 16 bits, big-endian.
func readClip(path string) []*audioPacket {
	data, err := os.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	var clip []*audioPacket
	for len(data) > 0 {
		size := 2 + int(binary.BigEndian.Uint16(data))
		clip = append(clip, &audioPacket{data: data[2:size]})
		data = data[size:]
	}
	clip[0].isStart, clip[len(clip)-1].isEnd = true, true
	return clip
}

func main() {
	packets := flag.String("packets", "", "file of packets")
	leadMs := flag.Int("lead-ms", 300, "how far sound is sent ahead")
	flag.Int("devices", 0, "how many will come")
	cert := flag.String("tls-cert", "", "certificate")
	key := flag.String("tls-key", "", "its key")
	flag.Parse()

	encoding.RegisterCodec(codec{})
	var options []grpc.ServerOption
	if *cert != "" {
		tls, err := credentials.NewServerTLSFromFile(*cert, *key)
		if err != nil {
			log.Fatal(err)
		}
		options = append(options, grpc.Creds(tls))
	}
	server := grpc.NewServer(options...)
	server.RegisterService(&description, &deviceService{
		clip:    readClip(*packets),
		lead:    *leadMs / packetMs,
		devices: map[string]*device{},
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	log.Fatal(server.Serve(listener))
}
