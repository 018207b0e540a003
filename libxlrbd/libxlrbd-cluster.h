/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libxlrbd - who runs what on which host, for those who look after it
 *
 * For errors, blocking and threads see libxlrbd.h.  Where a function takes a
 * spec for a place in the cluster, pool, ns and image say which, and id, conf,
 * cluster and timeout_s how to get there; xlrbd_spec_set_defaults() adds what
 * xlrbd.conf says.
 */
#ifndef LIBXLRBD_CLUSTER_H
#define LIBXLRBD_CLUSTER_H

#include "libxlrbd.h"

#ifdef __cplusplus
extern "C" {
#endif

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

/* How far an entry in an image's lock has come. */
enum xlrbd_state {
	XLRBD_PENDING,		/* on its way to be attached, or killed there */
	XLRBD_HELD,		/* mapped */
	/*
	 * A tombstone: was held when a takeover fenced it.  Keeps nobody away
	 * but what may be its old copy, arriving by migration.
	 */
	XLRBD_FENCED
};

/* Does an entry's holder show signs of life in the cluster? */
enum xlrbd_life {
	XLRBD_LIFE_UNKNOWN,	/* only reads, and readers leave no trace */
	XLRBD_LIFE_ALIVE,	/* its host's client watches an image */
	/*
	 * Should watch the image, and does not: dead, or cut off for longer
	 * than 30 s (ceph: osd_client_watch_timeout).
	 */
	XLRBD_LIFE_SILENT
};

/*
 * Who holds an image; strings are owned by who passes it on.  If @trouble is
 * set, @image is one, or a pool, that could not be looked at, and it says why;
 * the rest is zero.
 */
struct xlrbd_holder {
	const char *image;	/* "pool/namespace/image" */
	const char *snap;	/* mapped instead of the image, or "" */
	enum xlrbd_mode mode;
	enum xlrbd_state state;
	enum xlrbd_life life;
	const char *domain;	/* its name, without xl's "--incoming" */
	int incoming;		/* it came by migration, or is about to */
	const char *uuid;
	unsigned int domid;
	unsigned int devid;	/* of the disk, such as 51712 for xvda */
	const char *host;
	const char *address;	/* of the host's krbd client: "ip:0/nonce" */
	int64_t since;		/* seconds since 1970, by the host's clock */
	const char *entry;	/* names it to xlrbd_unlock() */
	const char *trouble;
};

/** xlrbd_state_name() - "pending", "held" or "fenced" */
const char *xlrbd_state_name(enum xlrbd_state state);

/** xlrbd_life_name() - "unknown", "alive" or "silent" */
const char *xlrbd_life_name(enum xlrbd_life life);

/* Other than 0 ends the walk, and is what it returns. */
typedef int xlrbd_holder_fn(void *data, const struct xlrbd_holder *holder);

/**
 * xlrbd_holders() - who holds images, in the whole cluster or a part of it
 * @ctx: the context
 * @where: an image, a pool and namespace, or (pool is NULL) every pool that
 *	this cephx user may read
 * @fn: called for each entry, in the order of the images' names
 * @data: passed to @fn
 *
 * Looks at many images at the same time; one that cannot be looked at is
 * passed to @fn with its trouble and does not hide the others.  Entries of
 * other software are left out.  Blocks for where->timeout_s seconds at most.
 *
 * Return: 0, what @fn returned, or why the cluster could not be asked.
 */
int xlrbd_holders(struct xlrbd_ctx *ctx, const struct xlrbd_spec *where,
		  xlrbd_holder_fn *fn, void *data);

/**
 * xlrbd_unlock() - withdraw somebody's entry by hand
 * @ctx: the context
 * @spec: the image, and how to connect
 * @entry: as xlrbd_holder.entry says
 *
 * For what is not a danger any more: an entry that nobody completes, one that a
 * reader has left, or a tombstone whose old copy is known to be gone.  A writer
 * that is silent may come back and write: that is what xlrbd_takeover() is for.
 *
 * Return: 0, or among others
 *	-ENOENT	there is no such entry
 *	-EBUSY	its holder is alive, or writes
 */
int xlrbd_unlock(struct xlrbd_ctx *ctx, const struct xlrbd_spec *spec,
		 const char *entry);

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
 * xlrbd_host_address() - where a host can be reached
 * @ctx: the context
 * @host: its name, as in xlrbd_holder.host
 * @address_out: what [hosts] of xlrbd.conf says, or the name itself; freed by
 *	the caller
 *
 * Return: 0, -EINVAL if the name or the file cannot be used, or -ENOMEM.
 */
int xlrbd_host_address(struct xlrbd_ctx *ctx, const char *host,
		       char **address_out);

/* Called for each host of which [hosts] in xlrbd.conf says an address. */
typedef void xlrbd_host_fn(void *data, const char *host, const char *address);

/**
 * xlrbd_hosts() - the other hosts, as far as xlrbd.conf names them
 *
 * Return: 0, -EINVAL if the file cannot be understood, or why it cannot be
 * read.
 */
int xlrbd_hosts(struct xlrbd_ctx *ctx, xlrbd_host_fn *fn, void *data);

/* @detail is a sentence about the trouble, or, if @ok, may be empty. */
typedef void xlrbd_check_fn(void *data, const char *what, bool ok,
			    const char *detail);

/**
 * xlrbd_check() - try what attaching and taking over disks needs
 * @ctx: the context
 * @pool: a pool and namespace, and how to get there
 * @fn: called for each thing that was tried
 * @data: passed to @fn
 *
 * Looks at this host's kernel and xenstore, then at the cluster; writes an
 * object of its own to the pool and removes it, and fences an address that
 * belongs to nobody for 20 seconds.  Blocks for pool->timeout_s seconds at
 * most, and 3 more for monitors that take no connection.
 *
 * Return: how many things are in trouble.
 */
int xlrbd_check(struct xlrbd_ctx *ctx, const struct xlrbd_spec *pool,
		xlrbd_check_fn *fn, void *data);

/*
 * A domain's definition, kept in the pool next to its images; see
 * xlrbd_definition_store().  Strings are owned by the structure.
 */
struct xlrbd_definition {
	char *name;
	char *uuid;
	char *macs;		/* blank separated, or "" */
	char *config;		/* as its author wrote it: xl.cfg(5) */
	char *json;		/* the same as libxl wants it */
	char *host;		/* where it was stored */
	int64_t time;		/* and when: seconds since 1970 */
	uint64_t version;	/* 1, 2, ...; 0: not stored yet */
};

/** xlrbd_definition_dispose() - free what it owns and zero it; idempotent */
void xlrbd_definition_dispose(struct xlrbd_definition *definition);

/**
 * xlrbd_definition_load() - what a domain is
 * @ctx: the context
 * @pool: where definitions are
 * @name: of the domain
 * @definition_out: filled in; on failure as after xlrbd_definition_dispose()
 *
 * Return: 0, -ENOENT if there is none, -EPROTO if it is of a later version of
 * this software, or why the pool could not be read.
 */
int xlrbd_definition_load(struct xlrbd_ctx *ctx, const struct xlrbd_spec *pool,
			  const char *name,
			  struct xlrbd_definition *definition_out);

/**
 * xlrbd_definition_store() - define a domain, or change its definition
 * @ctx: the context
 * @pool: where definitions are
 * @definition: version is the one that was changed, 0 if it is new
 *
 * All or nothing, whoever does the same at the same time.  On success version,
 * host and time say what was stored.
 *
 * Return: 0, or among others
 *	-EEXIST	it is not new, or its UUID or a MAC is another domain's
 *	-ESTALE	there is a newer version, or none any more
 */
int xlrbd_definition_store(struct xlrbd_ctx *ctx,
			   const struct xlrbd_spec *pool,
			   struct xlrbd_definition *definition);

/**
 * xlrbd_definition_remove() - forget a domain's definition
 *
 * Return: 0, -ENOENT, -ESTALE if it was changed meanwhile, or why the pool
 * could not be changed.
 */
int xlrbd_definition_remove(struct xlrbd_ctx *ctx,
			    const struct xlrbd_spec *pool, const char *name);

typedef int xlrbd_definition_fn(void *data,
				const struct xlrbd_definition *definition);

/**
 * xlrbd_definitions() - all definitions, by name
 *
 * Return: 0, what @fn returned, or why the pool could not be read.
 */
int xlrbd_definitions(struct xlrbd_ctx *ctx, const struct xlrbd_spec *pool,
		      xlrbd_definition_fn *fn, void *data);

#ifdef __cplusplus
}
#endif

#endif /* LIBXLRBD_CLUSTER_H */
