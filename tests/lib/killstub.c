// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Kills a program just before its nth call of a librados or librbd function,
 * which is the seam between two of its steps:
 *
 *	cc -shared -fPIC -o killstub.so killstub.c
 *	LD_PRELOAD=./killstub.so KILL_AT=rados_break_lock:2 block-rbd add
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <rados/librados.h>
#include <rbd/librbd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static void *step(const char *name, int *calls)
{
	const char *at = getenv("KILL_AT");
	size_t length = strlen(name);

	++*calls;
	if (at && !strncmp(at, name, length) && at[length] == ':' &&
	    atoi(at + length + 1) == *calls)
		raise(SIGKILL);
	return dlsym(RTLD_NEXT, name);
}

int rados_mon_command(rados_t cluster, const char **cmd, size_t cmdlen,
		      const char *inbuf, size_t inbuflen, char **outbuf,
		      size_t *outbuflen, char **outs, size_t *outslen)
{
	static int calls;
	int (*real)(rados_t, const char **, size_t, const char *, size_t,
		    char **, size_t *, char **, size_t *) =
		step(__func__, &calls);

	return real(cluster, cmd, cmdlen, inbuf, inbuflen, outbuf, outbuflen,
		    outs, outslen);
}

int rados_lock_shared(rados_ioctx_t io, const char *oid, const char *name,
		      const char *cookie, const char *tag, const char *desc,
		      struct timeval *duration, uint8_t flags)
{
	static int calls;
	int (*real)(rados_ioctx_t, const char *, const char *, const char *,
		    const char *, const char *, struct timeval *, uint8_t) =
		step(__func__, &calls);

	return real(io, oid, name, cookie, tag, desc, duration, flags);
}

int rados_break_lock(rados_ioctx_t io, const char *oid, const char *name,
		     const char *client, const char *cookie)
{
	static int calls;
	int (*real)(rados_ioctx_t, const char *, const char *, const char *,
		    const char *) = step(__func__, &calls);

	return real(io, oid, name, client, cookie);
}

int rados_remove(rados_ioctx_t io, const char *oid)
{
	static int calls;
	int (*real)(rados_ioctx_t, const char *) = step(__func__, &calls);

	return real(io, oid);
}

int rbd_metadata_set(rbd_image_t image, const char *key, const char *value)
{
	static int calls;
	int (*real)(rbd_image_t, const char *, const char *) =
		step(__func__, &calls);

	return real(image, key, value);
}

int rados_write_full(rados_ioctx_t io, const char *oid, const char *buf,
		     size_t len)
{
	static int calls;
	int (*real)(rados_ioctx_t, const char *, const char *, size_t) =
		step(__func__, &calls);

	return real(io, oid, buf, len);
}

int rbd_clone3(rados_ioctx_t from, const char *image, const char *snap,
	       rados_ioctx_t to, const char *name, rbd_image_options_t options)
{
	static int calls;
	int (*real)(rados_ioctx_t, const char *, const char *, rados_ioctx_t,
		    const char *, rbd_image_options_t) =
		step(__func__, &calls);

	return real(from, image, snap, to, name, options);
}
