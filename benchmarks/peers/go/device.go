package main

import (
	"sync"
	"time"

	"google.golang.org/grpc"
)

const (
	packetMs = 20
	modes    = 5

	white, green, blue, black = 0xFFFFFFFF, 0x00FF00FF, 0x0000FFFF, 0x000000FF
)

var cut = &audioPacket{isEnd: true, data: []byte{0xF8, 0xFF, 0xFE}}

// device is a device's mode and take; take grows with every Play and Stop. Each channel has room for
// one token: something has changed since it was looked at.
type device struct {
	mutex       sync.Mutex
	mode        int
	playing     bool
	take        int
	ledsChanged chan struct{}
	takeChanged chan struct{}
}

func newDevice() *device {
	d := &device{ledsChanged: make(chan struct{}, 1), takeChanged: make(chan struct{}, 1)}
	wake(d.ledsChanged)
	return d
}

func wake(changed chan struct{}) {
	select {
	case changed <- struct{}{}:
	default:
	}
}

func (d *device) press(event *deviceEvent) {
	if !event.hasButton || event.kind != pressed {
		return
	}
	d.mutex.Lock()
	defer d.mutex.Unlock()
	switch event.button {
	case buttonMode:
		d.mode = (d.mode + 1) % modes
	case buttonStop:
		d.mode, d.playing, d.take = 0, false, d.take+1
		wake(d.takeChanged)
	case buttonPlay:
		d.playing, d.take = true, d.take+1
		wake(d.takeChanged)
	}
	wake(d.ledsChanged)
}

// leds returns the LEDs for the state, always all six.
func (d *device) leds() *ledsRequest {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	leds := &ledsRequest{white, blue, black, black, black, black}
	if d.playing {
		leds[1] = green
	}
	if d.mode > 0 {
		leds[1+d.mode] = white
	}
	return leds
}

func (d *device) current() (take int, playing bool) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	return d.take, d.playing
}

// sound streams all takes of the device until its call ends.
func (d *device) sound(clip []*audioPacket, lead int, stream grpc.ServerStream) error {
	heard := 0
	for {
		select {
		case <-d.takeChanged:
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
		for take, playing := d.current(); playing && take != heard; take, playing = d.current() {
			heard = take
			if err := d.play(take, clip, lead, stream); err != nil {
				return err
			}
		}
	}
}

// play streams one take: up to the lead at once, then again when three quarters of it are used up.
func (d *device) play(take int, clip []*audioPacket, lead int, stream grpc.ServerStream) error {
	started := time.Now()
	pause := time.Duration(lead*packetMs*3/4) * time.Millisecond
	for index, packet := range clip {
		due := started.Add(time.Duration((index-lead)*packetMs) * time.Millisecond)
		if wait := time.Until(due); wait > 0 {
			timer := time.NewTimer(wait + pause)
			select {
			case <-timer.C:
			case <-d.takeChanged:
			case <-stream.Context().Done():
			}
			timer.Stop()
		}
		if now, _ := d.current(); now != take && index > 0 {
			return stream.SendMsg(cut)
		}
		if err := stream.SendMsg(packet); err != nil {
			return err
		}
	}
	d.ended(take)
	return nil
}

func (d *device) ended(take int) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if d.take == take {
		d.playing = false
		wake(d.ledsChanged)
	}
}
