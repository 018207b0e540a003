// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The side door of standin-krbd, which a kernel does not have: a socket by
 * which tests say what shall go wrong, and by which the keystub hands over
 * the keys that the kernel would find in the writer's keyrings.
 *
 * A packet holds one command, another the answer; see usage in answer().
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "standin.h"

#define PACKET 8192
#define KEYS_MAX 256

struct key {
	pid_t pid;		/* whose process keyring; 0: everybody's */
	char name[128];
	char base64[256];
};

static struct key keys[KEYS_MAX];
static int key_count;
static int listener;

static void encode_base64(const unsigned char *in, size_t n, char *out)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t i;

	for (i = 0; i < n; i += 3) {
		unsigned int v = (unsigned int)in[i] << 16;

		if (i + 1 < n)
			v |= (unsigned int)in[i + 1] << 8;
		if (i + 2 < n)
			v |= in[i + 2];
		*out++ = digits[v >> 18];
		*out++ = digits[v >> 12 & 63];
		*out++ = i + 1 < n ? digits[v >> 6 & 63] : '=';
		*out++ = i + 2 < n ? digits[v & 63] : '=';
	}
	*out = '\0';
}

/* A process keyring goes with its process. */
static void drop_dead_keys(void)
{
	int i;

	for (i = 0; i < key_count; i++)
		if (keys[i].pid && kill(keys[i].pid, 0) < 0 && errno == ESRCH)
			keys[i--] = keys[--key_count];
}

/* "key process|shared NAME\n" and the binary key. */
static int key_add(pid_t pid, const char *packet, size_t size)
{
	const char *end = memchr(packet, '\n', size);
	struct key key = { 0 };
	char ring[16];
	size_t length;

	if (!end || sscanf(packet, "key %15s %127[^\n]", ring, key.name) != 2)
		return -EINVAL;
	length = size - (size_t)(end + 1 - packet);
	if (length * 4 / 3 + 4 >= sizeof(key.base64))
		return -EINVAL;
	key.pid = strcmp(ring, "process") ? 0 : pid;
	encode_base64((const unsigned char *)end + 1, length, key.base64);
	pthread_mutex_lock(&state.lock);
	drop_dead_keys();
	if (key_count < KEYS_MAX)
		keys[key_count++] = key;
	pthread_mutex_unlock(&state.lock);
	return 0;
}

/* FUSE names the thread that wrote, keyrings belong to its process. */
static pid_t process_of(pid_t tid)
{
	char path[64], line[256];
	pid_t pid = tid;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)tid);
	file = fopen(path, "re");
	if (!file)
		return tid;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "Tgid: %d", &pid) == 1)
			break;
	fclose(file);
	return pid;
}

bool key_find(pid_t tid, const char *name, char *out, size_t size)
{
	pid_t pid = process_of(tid);
	bool found = false;
	int i;

	pthread_mutex_lock(&state.lock);
	for (i = key_count - 1; i >= 0 && !found; i--) {
		found = (!keys[i].pid || keys[i].pid == pid) &&
			!strcmp(keys[i].name, name);
		if (found)
			snprintf(out, size, "%s", keys[i].base64);
	}
	pthread_mutex_unlock(&state.lock);
	return found;
}

static int parse_error(const char *text)
{
	int e;

	if (isdigit((unsigned char)*text))
		return atoi(text);
	for (e = 1; e < 134; e++)
		if (strerrorname_np(e) && !strcmp(strerrorname_np(e), text))
			return e;
	return 0;
}

static const char *error_name(int r)
{
	return r >= 0 ? "ok" : strerrorname_np(-r) ? strerrorname_np(-r) : "?";
}

static void append(char *out, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static void append(char *out, const char *format, ...)
{
	size_t used = strlen(out);
	va_list ap;

	va_start(ap, format);
	vsnprintf(out + used, PACKET - used, format, ap);
	va_end(ap);
}

static void list_maps(char *out)
{
	struct device *d;

	for (d = state.devices; d; d = d->next)
		append(out, "%d %s/%s%s%s@%s %s %s%s\n", d->id,
		       d->request.pool, d->request.ns,
		       *d->request.ns ? "/" : "", d->request.image,
		       d->request.snap, device_client_addr(d),
		       d->open_count ? "open" : "closed",
		       d->removing ? " removing" : "");
}

/* One write or read through the map, as the block device would do it. */
static void do_io(int id, const char *what, char *out)
{
	struct device *device = device_get(id);
	char block[512] = "standin";
	ssize_t r;

	if (!device) {
		append(out, "error: no device %d\n", id);
		return;
	}
	if (!strcmp(what, "read"))
		r = rbd_read(device->image, 0, sizeof(block), block);
	else if (device->request.read_only)
		r = -EROFS;
	else
		r = rbd_write(device->image, 0, sizeof(block), block);
	device_put(device);
	append(out, "%s\n", error_name((int)r));
}

static void set_open(int id, bool open, char *out)
{
	struct device *device = device_find(id);

	if (!device)
		append(out, "error: no device %d\n", id);
	else
		device->open_count = open;
}

/* "SECONDS|inf [after] [unkillable]" */
static void set_delay(struct delay *delay, int argc, char **argv)
{
	int i;

	memset(delay, 0, sizeof(*delay));
	/* A day is for ever, for a test. */
	delay->seconds = strcmp(argv[1], "inf") ? atof(argv[1]) : 86400;
	for (i = 2; i < argc; i++) {
		delay->done_first |= !strcmp(argv[i], "after");
		delay->unkillable |= !strcmp(argv[i], "unkillable");
	}
}

static void set_fault(struct fault *fault, int argc, char **argv)
{
	fault->error = parse_error(argv[1]);
	fault->times = argc > 2 ? atoi(argv[2]) : 1;
}

static void show_counts(char *out)
{
	struct device *device;
	int now = 0;

	for (device = state.devices; device; device = device->next)
		now++;
	append(out, "now=%d mapped=%lu unmapped=%lu failed=%lu undone=%lu\n",
	       now, state.mapped, state.unmapped, state.failed, state.undone);
}

/* With the lock. */
static void answer(int argc, char **argv, char *out)
{
	if (!strcmp(argv[0], "count"))
		show_counts(out);
	else if (!strcmp(argv[0], "maps"))
		list_maps(out);
	else if (!strcmp(argv[0], "release"))
		state.releases++;
	else if (argc < 2)
		append(out, "error: commands are count, maps, release, open N, close N, io N read|write, features MASK, fail-map|fail-unmap ERROR [TIMES], delay-map|delay-unmap SECONDS|inf [after] [unkillable]\n");
	else if (!strcmp(argv[0], "open") || !strcmp(argv[0], "close"))
		set_open(atoi(argv[1]), argv[0][0] == 'o', out);
	else if (!strcmp(argv[0], "features"))
		state.features = strtoull(argv[1], NULL, 0);
	else if (!strcmp(argv[0], "fail-map"))
		set_fault(&state.map_fault, argc, argv);
	else if (!strcmp(argv[0], "fail-unmap"))
		set_fault(&state.unmap_fault, argc, argv);
	else if (!strcmp(argv[0], "delay-map"))
		set_delay(&state.map_delay, argc, argv);
	else if (!strcmp(argv[0], "delay-unmap"))
		set_delay(&state.unmap_delay, argc, argv);
	else
		append(out, "error: unknown command %s\n", argv[0]);
	pthread_cond_broadcast(&state.changed);
}

static void serve(char *packet, char *out)
{
	char *argv[8], *word;
	int argc = 0;

	while (argc < 8 && (word = strsep(&packet, " \n")))
		if (*word)
			argv[argc++] = word;
	if (!argc)
		return;
	if (argc == 3 && !strcmp(argv[0], "io")) {
		do_io(atoi(argv[1]), argv[2], out);
		return;
	}
	pthread_mutex_lock(&state.lock);
	answer(argc, argv, out);
	pthread_mutex_unlock(&state.lock);
}

static void *connection_thread(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char packet[PACKET], out[PACKET] = "";
	struct ucred peer = { 0 };
	socklen_t length = sizeof(peer);
	ssize_t n = recv(fd, packet, sizeof(packet) - 1, 0);

	if (n > 0) {
		packet[n] = '\0';
		getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length);
		if (!strncmp(packet, "key ", 4))
			key_add(peer.pid, packet, (size_t)n);
		else
			serve(packet, out);
		/* Never empty, that would look like the end. */
		append(out, "\n");
		send(fd, out, strlen(out), MSG_NOSIGNAL);
	}
	close(fd);
	return NULL;
}

static void *listen_thread(void *arg)
{
	pthread_t thread;
	int fd;

	for (;;) {
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			continue;
		if (pthread_create(&thread, NULL, connection_thread,
				   (void *)(intptr_t)fd))
			close(fd);
		else
			pthread_detach(thread);
	}
	return arg;
}

static int make_socket(const char *path, struct sockaddr_un *address)
{
	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(address->sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(address->sun_path, path);
	return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
}

int control_start(const char *path)
{
	struct sockaddr_un address;
	pthread_t thread;

	unlink(path);
	listener = make_socket(path, &address);
	if (listener < 0 ||
	    bind(listener, (struct sockaddr *)&address, sizeof(address)) ||
	    listen(listener, 64))
		return -errno;
	return -pthread_create(&thread, NULL, listen_thread, NULL);
}

int control_ask(const char *path, int argc, char **argv)
{
	char packet[PACKET] = "";
	struct sockaddr_un address;
	int fd = make_socket(path, &address), i;
	ssize_t n;

	for (i = 0; i < argc; i++)
		append(packet, "%s ", argv[i]);
	if (fd < 0 ||
	    connect(fd, (struct sockaddr *)&address, sizeof(address)) ||
	    send(fd, packet, strlen(packet), 0) < 0 ||
	    (n = recv(fd, packet, sizeof(packet) - 1, 0)) < 1) {
		fprintf(stderr, "standin-krbd: %s: %s\n", path,
			strerror(errno));
		return 1;
	}
	packet[n - 1] = '\0';
	fputs(packet, stdout);
	return !strncmp(packet, "error", 5);
}
