package main

import (
	"encoding/binary"
	"fmt"
)

// The messages of comms.proto that the peer needs, read and written by hand: no generated code and
// no reflection, which costs less than what protoc-gen-go would have generated.

const (
	pressed = 0

	buttonMode, buttonStop, buttonPlay = 1, 2, 3
)

type audioPacket struct {
	isStart, isEnd bool
	data           []byte
}

// ledsRequest is a DeviceStatusRequest with its set: six colours.
type ledsRequest [6]uint32

type deviceEventResponse struct{ ack bool }

type deviceEvent struct {
	hasButton    bool
	button, kind uint64
}

// ignored is a message that nothing is read from.
type ignored struct{}

// codec takes the place of the one for generated messages.
type codec struct{}

func (codec) Name() string { return "proto" }

func (codec) Marshal(message interface{}) ([]byte, error) {
	switch m := message.(type) {
	case *audioPacket:
		out := make([]byte, 0, len(m.data)+8)
		if m.isStart {
			out = append(out, 0x08, 1)
		}
		if m.isEnd {
			out = append(out, 0x10, 1)
		}
		out = append(out, 0x1A)
		out = appendVarint(out, uint64(len(m.data)))
		return append(out, m.data...), nil
	case *ledsRequest:
		out := []byte{0x12, byte(7 * len(m))}
		for index, rgba := range m {
			out = append(out, byte(index+1)<<3|2, 5, 0x0D, 0, 0, 0, 0)
			binary.LittleEndian.PutUint32(out[len(out)-4:], rgba)
		}
		return out, nil
	case *deviceEventResponse:
		if m.ack {
			return []byte{0x08, 1}, nil
		}
		return nil, nil
	}
	return nil, fmt.Errorf("cannot write %T", message)
}

func appendVarint(out []byte, value uint64) []byte {
	for ; value >= 0x80; value >>= 7 {
		out = append(out, byte(value)|0x80)
	}
	return append(out, byte(value))
}

func (codec) Unmarshal(data []byte, message interface{}) error {
	switch m := message.(type) {
	case *ignored:
		return nil
	case *deviceEvent:
		if len(data) < 2 || data[0] != 0x0A {
			return nil
		}
		m.hasButton = true
		return m.readButton(data[2:])
	}
	return fmt.Errorf("cannot read %T", message)
}

// readButton reads a ButtonEvent: numbers only.
func (m *deviceEvent) readButton(data []byte) error {
	for len(data) > 1 {
		value, size := binary.Uvarint(data[1:])
		if size <= 0 {
			return fmt.Errorf("broken event")
		}
		if data[0] == 0x08 {
			m.button = value
		} else if data[0] == 0x10 {
			m.kind = value
		}
		data = data[1+size:]
	}
	return nil
}
