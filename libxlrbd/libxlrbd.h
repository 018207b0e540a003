/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libxlrbd - attach RADOS block device images to Xen domains
 *
 * Every function that can fail returns 0 or a negative errno value and keeps
 * one sentence about the failure in the context; see xlrbd_error().  The
 * library never prints, never exits, never changes signal handling and starts
 * no thread of its own but one that waits for monitors in a takeover (librados
 * does).  A context must not be used by two
 * threads at once; different contexts are independent.
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

/**
 * xlrbd_vbd_add() - connect one virtual disk to its image
 * @ctx: the context
 * @path: the backend's xenstore path as libxl gives it in XENBUS_PATH, such
 *	as "backend/vbd/1/51712"
 *
 * Reads the target, takes the image's lock for the domain, maps the image and
 * publishes the device to the block backend.  On failure everything is
 * undone.  A disk that is published already is a success.
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
 * xlrbd_gc() - clean up what this host has left behind
 * @ctx: the context
 * @pool: where to look for entries: pool and ns, and how to connect; the
 *	other members are not looked at
 *
 * Undoes what is on record for disks that libxl no longer knows, and breaks
 * lock entries in the pool that this host made in an earlier life, or for disks
 * that it no longer has.  Never touches what a living disk uses, a mapping that
 * an add did not make, or what could be another host's.
 *
 * Blocks for a timeout= of the pool's spec, and of each record, at most.
 *
 * Return: how many things were cleaned up, or a negative errno value after
 * having done what could be done.
 */
int xlrbd_gc(struct xlrbd_ctx *ctx, const struct xlrbd_spec *pool);

/* Who holds an image; strings are owned by who passes it on. */
struct xlrbd_holder {
	const char *image;	/* "pool/namespace/image" */
	enum xlrbd_mode mode;
	const char *domain;	/* its name */
	const char *uuid;
	const char *host;
	const char *address;	/* of the host's krbd client: "ip:0/nonce" */
	int64_t since;		/* seconds since 1970, by the host's clock */
};

/*
 * Asked before anything is fenced, with all disks that will be cut off: those
 * of the pools that this cephx user may read.  The deadline goes on meanwhile,
 * so this is not the moment to ask a human: rather say false, ask, and call
 * xlrbd_takeover() again.
 */
typedef bool xlrbd_confirm_fn(void *data, const struct xlrbd_holder *cut_off,
			      size_t n);

/**
 * xlrbd_takeover() - take an image from a host that is dead
 * @ctx: the context
 * @spec: the image and how to connect; mode says for what it is wanted
 *	(XLRBD_MODE_UNSET: for writing)
 * @confirm: asked before the fence; NULL is for yes
 * @data: passed to @confirm
 *
 * For each holder that stands in the way, and shows no sign of life: blocklists
 * the client of its host's kernel for five years, so that nothing it has queued
 * can reach the image any more, and replaces its lock entry by a tombstone,
 * which keeps its old copy from arriving by migration until xlrbd_gc() on that
 * host has found it dead.  All disks that share that client are cut off with
 * it.  An image that nobody holds is a success.  xlrbd_vbd_add() does the same
 * for a target with takeover=fence.
 *
 * The cephx user needs no more than mon 'profile rbd' osd 'profile rbd'.
 * Blocks for spec->timeout_s seconds at most.
 *
 * Return: 0, or among others
 *	-EBUSY	a holder is alive: it, or another map of its client, has a
 *		watch, which ends 30 s after a client's death (ceph:
 *		osd_client_watch_timeout)
 *	-EEXIST	its client is fenced already, but not for long enough: krbd
 *		does so for an hour when it breaks a lock
 *	-ECANCELED @confirm said no
 */
int xlrbd_takeover(struct xlrbd_ctx *ctx, const struct xlrbd_spec *spec,
		   xlrbd_confirm_fn *confirm, void *data);

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
 * Return: 0 or a negative errno value, with xlrbd_error() left as it was.
 */
int xlrbd_vbd_report(struct xlrbd_ctx *ctx, const char *path,
		     const char *message);

#ifdef __cplusplus
}
#endif

#endif /* LIBXLRBD_H */
