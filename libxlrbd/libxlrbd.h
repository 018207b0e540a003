/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libxlrbd - attach RADOS block device images to Xen domains
 *
 * Every function that can fail returns 0 or a negative errno value and keeps
 * one sentence about the failure in the context; see xlrbd_error().  The
 * library never prints, never exits and never changes signal handling.  It
 * leaves no thread behind but one that waits for a cluster that did not answer
 * in time.  A context must not be used by two threads at once; different
 * contexts are independent.
 *
 * This header is about one disk; libxlrbd-cluster.h is about all that are in
 * the cluster.
 */
#ifndef LIBXLRBD_H
#define LIBXLRBD_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct xlrbd_ctx;

/*
 * Log levels are those of <syslog.h>; the message has no newline.  @data is
 * what was given to xlrbd_set_log().
 */
typedef void xlrbd_log_fn(void *data, int level, const char *message);

/**
 * xlrbd_new() - make a context
 * @ctx_out: where to store it; freed by the caller with xlrbd_free()
 *
 * Return: 0 or -ENOMEM.  Does not block.
 */
int xlrbd_new(struct xlrbd_ctx **ctx_out);

/** xlrbd_free() - free a context; NULL is allowed */
void xlrbd_free(struct xlrbd_ctx *ctx);

/**
 * xlrbd_set_log() - receive what the library has to say
 * @ctx: the context
 * @level: highest (least urgent) syslog level wanted, such as LOG_INFO
 * @fn: called for each message, from the calling thread; NULL for silence
 * @data: handed to @fn
 *
 * Without it nothing is logged.
 */
void xlrbd_set_log(struct xlrbd_ctx *ctx, int level, xlrbd_log_fn *fn,
		   void *data);

/**
 * xlrbd_set_final() - the process ends after the next call
 * @ctx: the context
 *
 * Leaves it to the end of the process to close connections to the cluster,
 * which is a good part of the time that an attach takes.  librados' threads
 * may still run then, so end with _exit(), not with exit(), whose destructors
 * would pull the ground from under them.
 */
void xlrbd_set_final(struct xlrbd_ctx *ctx);

/**
 * xlrbd_error() - the sentence about the last failure
 * @ctx: the context
 *
 * Says what was tried, on what, why it failed and what to do next.  It never
 * holds a secret or a control character.
 *
 * Return: a string owned by the context, valid until the next call with it;
 * empty if nothing has failed.
 */
const char *xlrbd_error(const struct xlrbd_ctx *ctx);

/** xlrbd_version() - the library's version, such as "0.1.0"; static */
const char *xlrbd_version(void);

/*
 * How a disk may be shared.  Each holder of an image, anywhere in the
 * cluster, has one of these; two holders tolerate each other or not:
 *
 *		r	w	r!	w!
 *	r	yes	no	yes	no
 *	w	no	no	yes	no
 *	r!	yes	yes	yes	yes
 *	w!	no	no	yes	yes
 */
enum xlrbd_mode {
	XLRBD_MODE_UNSET = 0,	/* as xl's access= says */
	XLRBD_MODE_R,		/* reads, wants the content to stay still */
	XLRBD_MODE_W,		/* the only writer */
	XLRBD_MODE_R_SHARED,	/* r!: reads, accepts that others write */
	XLRBD_MODE_W_SHARED	/* w!: one of several writers */
};

/** xlrbd_mode_name() - "r", "w", "r!", "w!", or "" for XLRBD_MODE_UNSET */
const char *xlrbd_mode_name(enum xlrbd_mode mode);

/* The seconds a whole add or remove may take; see timeout= in block-rbd(8). */
#define XLRBD_TIMEOUT_DEFAULT	30
#define XLRBD_TIMEOUT_MIN	10
/*
 * libxl kills a hotplug script after LIBXL_HOTPLUG_TIMEOUT = 40 s
 * (xen: tools/libs/light/libxl_internal.h).
 */
#define XLRBD_TIMEOUT_MAX	35

/*
 * What a disk's target= says.  Strings are NULL where the target is silent.
 * All are owned by the structure; see xlrbd_spec_dispose().
 */
struct xlrbd_spec {
	char *pool;
	char *ns;		/* RADOS namespace within the pool */
	char *image;		/* NULL: named after the domain */
	char *snap;
	char *id;		/* cephx id, without "client." */
	char *conf;		/* path of the ceph.conf to use */
	char *cluster;		/* cluster name: /etc/ceph/NAME.conf */
	char *map_options;	/* for krbd, comma separated */
	enum xlrbd_mode mode;
	unsigned int timeout_s;	/* 0: XLRBD_TIMEOUT_DEFAULT */
	bool takeover;		/* takeover=fence: see xlrbd_takeover() */
	char *base;		/* clone=: "[POOL[/NAMESPACE]/]IMAGE@SNAPSHOT" */
	uint64_t size;		/* of the clone in bytes at least; 0: its base's */
	bool ephemeral;		/* the last detach deletes the clone */
};

/**
 * xlrbd_spec_parse() - take a disk target apart
 * @ctx: the context
 * @target: [POOL[/NAMESPACE]:][IMAGE[@SNAPSHOT]][,OPTION[=VALUE]]..., or the
 *	same with POOL[/NAMESPACE]/IMAGE
 * @spec_out: filled in; on failure it is as after xlrbd_spec_dispose()
 *
 * Pure: looks at nothing but its arguments.
 *
 * Return: 0, -EINVAL if the target is not of that form, or -ENOMEM.
 */
int xlrbd_spec_parse(struct xlrbd_ctx *ctx, const char *target,
		     struct xlrbd_spec *spec_out);

/**
 * xlrbd_spec_set_defaults() - add what xlrbd.conf says to a target
 * @ctx: the context
 * @spec: as xlrbd_spec_parse() has left it; members that are set stay
 *
 * The pool's own section counts first, then what is said for all; see
 * xlrbd.conf(5).  Without that file nothing is changed.  Strings that are added
 * are freed by xlrbd_spec_dispose().
 *
 * Return: 0, -EINVAL if the file cannot be understood, or why it cannot be
 * read.
 */
int xlrbd_spec_set_defaults(struct xlrbd_ctx *ctx, struct xlrbd_spec *spec);

/** xlrbd_spec_dispose() - free what a spec owns and zero it; idempotent */
void xlrbd_spec_dispose(struct xlrbd_spec *spec);

/* A disk of a domain that is not there yet. */
struct xlrbd_disk {
	const char *target;	/* what its target= says */
	const char *vdev;	/* "xvda" */
	unsigned int devid;	/* of that, 51712 */
	int writable;
	/* Where the domain comes from, by xlrbd_vbd_image(); or NULL. */
	const char *image;
};

/**
 * xlrbd_disk_check() - could this host attach a disk?
 * @ctx: the context
 * @domain: the name of the domain that is to have it
 * @disk: the disk; devid and image are not looked at
 *
 * Understands the target, and looks for the image, at its features and at the
 * space in its pool, all without changing anything: an image that clone= would
 * make need not be there.  Does not ask who holds the image, as that may be
 * another by the time that the disk is attached.  Blocks for timeout= seconds of
 * the target at most.
 *
 * Return: 0, or what xlrbd_vbd_add() would return.
 */
int xlrbd_disk_check(struct xlrbd_ctx *ctx, const char *domain,
		     const struct xlrbd_disk *disk);

/**
 * xlrbd_vbd_add() - connect one virtual disk to its image
 * @ctx: the context
 * @path: the backend's xenstore path as libxl gives it in XENBUS_PATH, such
 *	as "backend/vbd/1/51712"
 *
 * Reads the target, takes the image's lock for the domain, maps the image and
 * publishes the device to the block backend.  On failure everything is
 * undone, but for a disk that was prepared for a domain that arrives, which
 * whoever receives the domain undoes.  A disk that is published already is a
 * success.
 *
 * Needs CAP_SYS_ADMIN, and xenstore.  Blocks for timeout= seconds of the
 * target (XLRBD_TIMEOUT_DEFAULT) at most.
 *
 * Return: 0, or among others
 *	-EBUSY	another domain holds the image
 *	-ENOENT	image, pool, namespace, snapshot or backend is not there
 *	-EINVAL	the target cannot be understood
 *	-ETIMEDOUT the cluster did not answer in time
 *	-EACCES, -EPERM the cephx user may not do this
 *	-ENOSPC	the pool is full
 */
int xlrbd_vbd_add(struct xlrbd_ctx *ctx, const char *path);

/**
 * xlrbd_vbd_remove() - undo xlrbd_vbd_add()
 * @ctx: the context
 * @path: as for xlrbd_vbd_add()
 *
 * Waits until the block backend has let go of the device, unmaps it and
 * withdraws the lock entry.  A disk that was never added, or was removed
 * before, is a success.  What could not be undone stays recorded, and the
 * next call tries again.
 *
 * Blocks for the seconds that add recorded at most.
 *
 * Return: 0, or among others
 *	-EBUSY	the device is still in use
 *	-ETIMEDOUT the cluster did not answer; its lock entry remains
 */
int xlrbd_vbd_remove(struct xlrbd_ctx *ctx, const char *path);

/**
 * xlrbd_vbd_report() - tell libxl why an add failed
 * @ctx: the context
 * @path: as for xlrbd_vbd_add()
 * @message: what libxl is to print, such as xlrbd_error()
 *
 * Writes hotplug-error and hotplug-status, which libxl reads when the hotplug
 * script has exited (xen: libxl_device.c, device_hotplug_child_death_cb()).
 * The guest can read them.
 *
 * Return: 0 or a negative errno value, with what xlrbd_error() said of an
 * earlier failure left as it was.
 */
int xlrbd_vbd_report(struct xlrbd_ctx *ctx, const char *path,
		     const char *message);

#ifdef __cplusplus
}
#endif

#endif /* LIBXLRBD_H */
