// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The channel between `xlrbd migrate` and `xlrbd receive`: frames of a type, a
 * length and that many bytes.
 *
 * Frames, so that a stream has an end, and so that whoever has nothing to say
 * can say so: an ssh whose other end has lost its power waits for hours.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "migrate.h"

enum { MESSAGE = 'm', STREAM = 's', STREAM_END = 'e', ALIVE = 'a' };

#define HEADER		5
#define FRAME_MAX	(1 << 20)
#define ALIVE_MS	5000
/* The other end is gone when it has not even said that it is there. */
#define SILENCE_MS	30000
/* How long ssh, and who is behind it, may take to end. */
#define GOODBYE_MS	10000

struct pump {
	pthread_t thread;
	struct channel *ch;
	int fd;			/* our end of the pipe that libxl has */
	uint64_t bytes;
};

static bool wait_for(int fd, short events, int64_t ms)
{
	struct pollfd p = { .fd = fd, .events = events };
	int r;

	do
		r = poll(&p, 1, ms);
	while (r < 0 && errno == EINTR);
	return r > 0;
}

static void be_nonblocking(int fd)
{
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

/* To an O_NONBLOCK pipe.  What is not taken for so long will not be. */
static bool write_all(int fd, const char *data, size_t n)
{
	ssize_t done;

	while (n) {
		done = write(fd, data, n);
		if (done < 0 && errno != EINTR &&
		    (errno != EAGAIN || !wait_for(fd, POLLOUT, SILENCE_MS)))
			return false;
		if (done > 0) {
			data += done;
			n -= done;
		}
	}
	return true;
}

static bool read_all(int fd, char *data, size_t n)
{
	ssize_t done;

	while (n) {
		if (!wait_for(fd, POLLIN, SILENCE_MS))
			return false;
		done = read(fd, data, n);
		if (!done || (done < 0 && errno != EINTR))
			return false;
		if (done > 0) {
			data += done;
			n -= done;
		}
	}
	return true;
}

/* From or to a pipe, without looking at it. */
static bool move_all(int from, int to, size_t n)
{
	ssize_t done;

	while (n) {
		done = splice(from, NULL, to, NULL, n, SPLICE_F_NONBLOCK);
		if (!done || (done < 0 && errno != EINTR && errno != EAGAIN))
			return false;
		if (done > 0)
			n -= done;
		else if (!wait_for(from, POLLIN, SILENCE_MS) ||
			 !wait_for(to, POLLOUT, SILENCE_MS))
			return false;
	}
	return true;
}

static bool send_header(struct channel *ch, char type, size_t n)
{
	uint32_t length = htonl(n);
	char header[HEADER] = { type };

	memcpy(header + 1, &length, sizeof(length));
	return write_all(ch->out, header, sizeof(header));
}

/* The type of the next frame, and how long it is; 0 at the end. */
static char receive_header(struct channel *ch, size_t *n_out)
{
	char header[HEADER];
	uint32_t length;

	if (!read_all(ch->in, header, sizeof(header)))
		return 0;
	memcpy(&length, header + 1, sizeof(length));
	*n_out = ntohl(length);
	return *n_out <= FRAME_MAX ? header[0] : 0;
}

static json_t *receive_message(struct channel *ch, size_t n)
{
	char *text = malloc(n);
	json_t *message = NULL;

	if (text && read_all(ch->in, text, n))
		message = json_loadb(text, n, 0, NULL);
	free(text);
	return message;
}

bool channel_send(struct channel *ch, json_t *message)
{
	char *text = json_dumps(message, JSON_COMPACT);
	size_t n = text ? strlen(text) : 0;
	bool sent;

	sent = text && n <= FRAME_MAX && send_header(ch, MESSAGE, n) &&
	       write_all(ch->out, text, n);
	free(text);
	json_decref(message);
	return sent;
}

/*
 * The source says that it lives while it waits.  The destination cannot while
 * libxl works, but there is ssh, which ends when it falls silent.
 */
static bool is_silent(const struct channel *ch, int64_t heard)
{
	return !ch->ssh && now_ms() - heard > SILENCE_MS;
}

/* Between two signs of life, or until @end. */
static int pause_ms(int64_t end)
{
	int64_t left = end - now_ms();

	return left > ALIVE_MS ? ALIVE_MS : left > 0 ? left : 0;
}

json_t *channel_receive(struct channel *ch, int64_t patience_ms)
{
	int64_t end = now_ms() + patience_ms, heard = now_ms();
	json_t *message = NULL;
	char type = ALIVE;
	size_t n;

	while (type == ALIVE) {
		while (!wait_for(ch->in, POLLIN, pause_ms(end)))
			if (now_ms() >= end || is_silent(ch, heard) ||
			    !send_header(ch, ALIVE, 0))
				return NULL;
		heard = now_ms();
		type = receive_header(ch, &n);
		if (type == MESSAGE)
			message = receive_message(ch, n);
		if (now_ms() >= end)
			break;
	}
	return message;
}

int channel_expect(struct channel *ch, const char *what, int64_t patience_ms,
		   unsigned int *domid_out)
{
	json_t *message = channel_receive(ch, patience_ms);
	const char *error = text_of(message, "error");
	int rc = DONE;

	if (*error)
		rc = fail("%s: %s", ch->host, error);
	else if (strcmp(text_of(message, "state"), what) != 0)
		rc = fail("%s is gone, or does not answer (%s)", ch->host,
			  what);
	else
		*domid_out = number_of(message, "domid");
	json_decref(message);
	return rc;
}

/* How much libxl has written; 0: it has closed its end. */
static size_t readable(int fd)
{
	int n = 0;

	ioctl(fd, FIONREAD, &n);
	return n < FRAME_MAX ? n : FRAME_MAX;
}

/* From libxl to the other end. */
static void *pump_out(void *data)
{
	struct pump *pump = data;
	struct channel *ch = pump->ch;
	bool sent = true;
	size_t n = 1;

	while (sent && n) {
		if (!wait_for(pump->fd, POLLIN, ALIVE_MS)) {
			sent = send_header(ch, ALIVE, 0);
			continue;
		}
		n = readable(pump->fd);
		if (n)
			sent = send_header(ch, STREAM, n) &&
			       move_all(pump->fd, ch->out, n);
		pump->bytes += n;
	}
	if (sent)
		sent = send_header(ch, STREAM_END, 0);
	/* With this libxl learns that nobody takes it any more. */
	close(pump->fd);
	return NULL;
}

/* From the other end to libxl, until either has enough. */
static void *pump_in(void *data)
{
	struct pump *pump = data;
	char type;
	size_t n;

	do {
		type = receive_header(pump->ch, &n);
		if (type == STREAM && !move_all(pump->ch->in, pump->fd, n))
			break;
		if (type == STREAM)
			pump->bytes += n;
	} while (type == STREAM || type == ALIVE);
	close(pump->fd);
	return NULL;
}

/* @theirs of a pipe is for libxl, the other one for us. */
static int begin_stream(struct channel *ch, int theirs,
			void *(*run)(void *data))
{
	struct pump *pump = calloc(1, sizeof(*pump));
	int fds[2];

	if (!pump || pipe2(fds, O_CLOEXEC) < 0) {
		free(pump);
		return -1;
	}
	pump->ch = ch;
	pump->fd = fds[!theirs];
	be_nonblocking(pump->fd);
	/* The fewer calls, the better; as it is will do as well. */
	fcntl(pump->fd, F_SETPIPE_SZ, FRAME_MAX);
	if (pthread_create(&pump->thread, NULL, run, pump)) {
		close(fds[0]);
		close(fds[1]);
		free(pump);
		return -1;
	}
	ch->pump = pump;
	return fds[theirs];
}

int channel_begin_output(struct channel *ch)
{
	return begin_stream(ch, 1, pump_out);
}

int channel_begin_input(struct channel *ch)
{
	return begin_stream(ch, 0, pump_in);
}

uint64_t channel_end_stream(struct channel *ch)
{
	struct pump *pump = ch->pump;
	uint64_t bytes;

	if (!pump)
		return 0;
	pthread_join(pump->thread, NULL);
	bytes = pump->bytes;
	free(pump);
	ch->pump = NULL;
	return bytes;
}

int channel_open(struct session *s, const char *host, struct channel *ch,
		 json_t **hello_out)
{
	json_t *hello;

	memset(ch, 0, sizeof(*ch));
	ch->in = ch->out = -1;
	ch->host = host;
	if (remote_start(s, host, "xlrbd receive", &ch->out, &ch->in,
			 &ch->ssh))
		return FAILED;
	be_nonblocking(ch->out);
	fcntl(ch->out, F_SETPIPE_SZ, FRAME_MAX);
	hello = channel_receive(ch, SILENCE_MS);
	if (!hello) {
		channel_close(ch);
		return fail("%s: does not answer to `ssh ... xlrbd receive`; see [hosts] in xlrbd.conf(5), and `xlrbd check`",
			    host);
	}
	if (number_of(hello, "protocol") != PROTOCOL) {
		fail("%s: has xlrbd %s, which moves domains in another manner than this one, " PACKAGE_VERSION,
		     host, text_of(hello, "xlrbd"));
		json_decref(hello);
		channel_close(ch);
		return FAILED;
	}
	*hello_out = hello;
	return DONE;
}

int ask_host(struct session *s, const char *host, json_t **hello_out)
{
	struct channel ch;
	int rc;

	rc = channel_open(s, host, &ch, hello_out);
	if (rc)
		return rc;
	channel_close(&ch);
	if (!*text_of(*hello_out, "error"))
		return DONE;
	rc = fail("%s: %s", host, text_of(*hello_out, "error"));
	json_decref(*hello_out);
	*hello_out = NULL;
	return rc;
}

void channel_close(struct channel *ch)
{
	/* The end of its input is what ends ssh. */
	if (ch->out >= 0)
		close(ch->out);
	if (ch->in >= 0)
		close(ch->in);
	ch->in = ch->out = -1;
	channel_end_stream(ch);
	if (ch->ssh > 0)
		program_end(ch->ssh, GOODBYE_MS);
	ch->ssh = 0;
}
