/* A device in C on nghttp2 and nanopb: three calls on one connection, gRPC by hand.
 *
 *   device HOST PORT ID
 *
 * It presses Mode and Play, after a second Stop, shows its LEDs and counts what it hears. On a
 * microcontroller the socket is lwIP's and the packets go to an Opus decoder; the rest is the same.
 */
#include <errno.h>
#include <netdb.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <pb_decode.h>
#include <pb_encode.h>

#include "comms.pb.h"

#define PREFIX 5        /* a byte "compressed", which is 0, and the length, big end first */
#define MESSAGE_MAX 1400 /* the largest message is an AudioPacket with 1,276 bytes of Opus */

enum { STATUS, EVENTS, AUDIO, CALLS };
enum { MODE = 1, STOP = 2, PLAY = 3 }; /* of ButtonId: BUTTON_2 to BUTTON_4 */

typedef struct {
    const char *path;
    int32_t stream;
    uint8_t out[4 * MESSAGE_MAX]; /* framed messages that wait to be sent */
    size_t out_bytes;
    int is_done;                   /* nothing follows: END_STREAM comes with the last byte */
    uint8_t in[PREFIX + MESSAGE_MAX]; /* the message that arrives, as far as it is here */
    size_t in_bytes;
} Call;

static Call calls[CALLS] = {
    {.path = "/com.opalcamera.test.DeviceService/StatusStream"},
    {.path = "/com.opalcamera.test.DeviceService/EventStream"},
    {.path = "/com.opalcamera.test.DeviceService/ServerAudioStream"},
};
static nghttp2_session *session;
static uint32_t leds[6];
static unsigned packets, takes, acks, frames;

static void fail(const char *reason) {
    fprintf(stderr, "device: %s\n", reason);
    exit(1);
}

/* Send a message on a call: the prefix, and the message behind it. */
static void send_message(Call *call, const pb_msgdesc_t *kind, const void *message) {
    uint8_t *at = call->out + call->out_bytes;
    pb_ostream_t stream = pb_ostream_from_buffer(at + PREFIX, MESSAGE_MAX);
    if (call->out_bytes + PREFIX + MESSAGE_MAX > sizeof call->out) fail("too much waits to be sent");
    if (!pb_encode(&stream, kind, message)) fail(PB_GET_ERROR(&stream));
    size_t size = stream.bytes_written;
    memcpy(at, (uint8_t[PREFIX]){0, size >> 24, size >> 16, size >> 8, size}, PREFIX);
    call->out_bytes += PREFIX + size;
    nghttp2_session_resume_data(session, call->stream);
}

/* nghttp2 asks for bytes of a call. */
static ssize_t read_out(nghttp2_session *s, int32_t id, uint8_t *to, size_t room, uint32_t *flags,
                        nghttp2_data_source *source, void *user) {
    Call *call = source->ptr;
    (void)s, (void)id, (void)user;
    size_t size = call->out_bytes < room ? call->out_bytes : room;
    memcpy(to, call->out, size);
    call->out_bytes -= size;
    memmove(call->out, call->out + size, call->out_bytes);
    if (call->is_done && !call->out_bytes) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return size || call->is_done ? (ssize_t)size : NGHTTP2_ERR_DEFERRED;
}

static void press(int button) {
    com_opalcamera_test_DeviceEvent event = com_opalcamera_test_DeviceEvent_init_zero;
    event.which_event = com_opalcamera_test_DeviceEvent_button_event_tag;
    event.event.button_event.button_id = button; /* the event PRESS is 0 */
    send_message(&calls[EVENTS], com_opalcamera_test_DeviceEvent_fields, &event);
    printf("pressed BUTTON_%d\n", button + 1);
}

/* Answer each request. All six LEDs come with each `set`; one that is missing is black. */
static void on_status(const com_opalcamera_test_DeviceStatusRequest *request) {
    com_opalcamera_test_DeviceStatusResponse answer =
        com_opalcamera_test_DeviceStatusResponse_init_zero;
    if (request->which_request == com_opalcamera_test_DeviceStatusRequest_set_tag) {
        const com_opalcamera_test_DeviceStatusSet *set = &request->request.set;
        const com_opalcamera_test_RGBAColor *shown[] = {&set->led_0, &set->led_1, &set->led_2,
                                                        &set->led_3, &set->led_4, &set->led_5};
        printf("LEDs");
        for (int n = 0; n < 6; n++) printf(" %06x", (leds[n] = shown[n]->rgba) >> 8);
        printf("\n");
        frames++;
        answer.which_response = com_opalcamera_test_DeviceStatusResponse_status_tag;
        strcpy(answer.response.status, "success");
    } else {
        com_opalcamera_test_DeviceStatus *state = &answer.response.state;
        com_opalcamera_test_RGBAColor *told[] = {&state->led_0, &state->led_1, &state->led_2,
                                                 &state->led_3, &state->led_4, &state->led_5};
        answer.which_response = com_opalcamera_test_DeviceStatusResponse_state_tag;
        state->has_led_0 = state->has_led_1 = state->has_led_2 = true;
        state->has_led_3 = state->has_led_4 = state->has_led_5 = true;
        for (int n = 0; n < 6; n++) told[n]->rgba = leds[n] | 0xff;
    }
    send_message(&calls[STATUS], com_opalcamera_test_DeviceStatusResponse_fields, &answer);
}

/* Each packet is 20 ms of Opus at most: decode it, whatever its flags say. */
static void on_audio(const com_opalcamera_test_AudioPacket *packet) {
    if (packet->is_start) {
        printf("a take begins\n");
        packets = 0;
    }
    packets++;
    if (packet->is_end) {
        printf("a take ends after %u packets\n", packets);
        takes++;
    }
}

static void on_message(Call *call, const uint8_t *bytes, size_t size) {
    static union {
        com_opalcamera_test_DeviceStatusRequest status;
        com_opalcamera_test_DeviceEventResponse event;
        com_opalcamera_test_AudioPacket audio;
    } message;
    static const pb_msgdesc_t *const kinds[CALLS] = {com_opalcamera_test_DeviceStatusRequest_fields,
                                                     com_opalcamera_test_DeviceEventResponse_fields,
                                                     com_opalcamera_test_AudioPacket_fields};
    pb_istream_t stream = pb_istream_from_buffer(bytes, size);
    int which = (int)(call - calls);
    memset(&message, 0, sizeof message);
    if (!pb_decode(&stream, kinds[which], &message)) fail(PB_GET_ERROR(&stream));
    if (which == STATUS) on_status(&message.status);
    if (which == EVENTS && message.event.ack) acks++;
    if (which == AUDIO) on_audio(&message.audio);
}

/* Bytes of a call have come: frames of HTTP/2 end anywhere, so messages are put together here. */
static int on_data(nghttp2_session *s, uint8_t flags, int32_t id, const uint8_t *data, size_t size,
                   void *user) {
    (void)flags, (void)user;
    Call *call = nghttp2_session_get_stream_user_data(s, id);
    while (size--) {
        if (call->in_bytes == sizeof call->in) fail("a message is too long");
        call->in[call->in_bytes++] = *data++;
        const uint8_t *p = call->in;
        size_t length = call->in_bytes < PREFIX
                            ? MESSAGE_MAX
                            : (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
        if (call->in_bytes >= PREFIX && call->in_bytes == PREFIX + length) {
            on_message(call, call->in + PREFIX, length);
            call->in_bytes = 0;
        }
    }
    return 0;
}

/* `grpc-status` other than 0, in headers or in trailers, says why a call ended. */
static int on_header(nghttp2_session *s, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
                     void *user) {
    (void)s, (void)frame, (void)flags, (void)user;
    if (name_size >= 5 && !memcmp(name, "grpc-", 5))
        printf("%.*s: %.*s\n", (int)name_size, name, (int)value_size, value);
    return 0;
}

static int on_close(nghttp2_session *s, int32_t id, uint32_t code, void *user) {
    (void)s, (void)id, (void)user;
    fprintf(stderr, "device: a call has ended (HTTP/2 code %u)\n", code);
    exit(1);
}

#define HEADER(name, value) \
    {(uint8_t *)(name), (uint8_t *)(value), strlen(name), strlen(value), NGHTTP2_NV_FLAG_NONE}

static void open_call(Call *call, const char *authority, const char *id) {
    nghttp2_nv headers[] = {
        HEADER(":method", "POST"),
        HEADER(":scheme", "http"),
        HEADER(":path", call->path),
        HEADER(":authority", authority),
        HEADER("te", "trailers"),
        HEADER("content-type", "application/grpc"),
        HEADER("device_id", id),
    };
    nghttp2_data_provider body = {.source = {.ptr = call}, .read_callback = read_out};
    call->stream = nghttp2_submit_request(session, NULL, headers, sizeof headers / sizeof *headers,
                                          &body, call);
    if (call->stream < 0) fail(nghttp2_strerror(call->stream));
}

static int connected(const char *host, const char *port) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    if (getaddrinfo(host, port, &hints, &found)) fail("no such host");
    int fd = socket(found->ai_family, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen)) fail(strerror(errno));
    freeaddrinfo(found);
    return fd;
}

/* Send all that nghttp2 has to send, PING answers and windows too. */
static void flush(int fd) {
    const uint8_t *bytes;
    ssize_t size;
    while ((size = nghttp2_session_mem_send(session, &bytes)) > 0)
        for (ssize_t sent; size; bytes += sent, size -= sent)
            if ((sent = send(fd, bytes, size, MSG_NOSIGNAL)) < 0) fail(strerror(errno));
    if (size < 0) fail(nghttp2_strerror((int)size));
}

static long now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int main(int argc, char **argv) {
    if (argc != 4) fail("HOST PORT ID are needed");
    setvbuf(stdout, NULL, _IOLBF, 0);
    nghttp2_session_callbacks *callbacks;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    nghttp2_session_client_new(&session, callbacks, NULL);
    nghttp2_session_callbacks_del(callbacks);

    /* A small device has small windows; messages are whole in every case. */
    nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
                                         {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 4096}};
    nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, 2);
    int fd = connected(argv[1], argv[2]);
    for (int n = 0; n < CALLS; n++) open_call(&calls[n], argv[1], argv[3]);
    com_opalcamera_test_AudioStreamRequest start = {.start = true};
    calls[AUDIO].is_done = 1; /* one request, and no other */
    send_message(&calls[AUDIO], com_opalcamera_test_AudioStreamRequest_fields, &start);

    /* The next press waits for the acknowledgement of the one before. */
    static const struct { int button; long pause_ms; } presses[] = {{MODE, 0}, {PLAY, 0}, {STOP, 1000}};
    unsigned pressed = 0;
    long due_ms = now_ms(), deadline_ms = due_ms + 10000;
    while (!takes || acks < 3) {
        if (acks == pressed && pressed < 3 && now_ms() >= due_ms + presses[pressed].pause_ms) {
            press(presses[pressed++].button);
            due_ms = now_ms();
        }
        if (now_ms() > deadline_ms) fail("no take has ended within 10 s");
        flush(fd);
        struct pollfd readable = {.fd = fd, .events = POLLIN};
        if (poll(&readable, 1, 50) <= 0) continue;
        uint8_t bytes[2048];
        ssize_t size = recv(fd, bytes, sizeof bytes, 0);
        if (size <= 0) fail("the connection has ended: connect again, after a pause that grows");
        ssize_t read = nghttp2_session_mem_recv(session, bytes, size);
        if (read < 0) fail(nghttp2_strerror((int)read));
    }
    flush(fd);
    close(fd);
    nghttp2_session_del(session);
    printf("%u acks, %u take, %u frames of LEDs\n", acks, takes, frames);
    return frames ? 0 : 1;
}
