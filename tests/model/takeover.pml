/*
 * The takeover protocol (ARCHITECTURE.md) as two nodes, one VIP, etcd, and an adversary who delays,
 * pauses, deletes, revokes and restarts. tests/model/run checks it with spin:
 *   safety     the assertion in address_set(): at no moment do two nodes have the address
 *   progress   (-DPROGRESS) once the faults have stopped, somebody owns, even if a node died
 *
 * TIME is one global tick, and the session timeout is T ticks. Each instant is kept as the ticks
 * left until it, or gone by since it, up to T: so there are finitely many states though a run never
 * ends. A tick may fall between any two steps, and that alone is every pause of a process, every
 * late request and every late watch. Losing a message costs the adversary nothing.
 *
 * WHAT STANDS FOR WHAT
 *   watch       each change goes to each node in order, applied whenever that node comes to it.
 *   queue       keeps the order of the create revisions.
 *   comparison  mod_revision has no number: a link of the chain that commits ends what else was
 *               under way, and where the session key is gone or a stranger's, links are refused.
 *   heartbeat   is sent at the moment it commits. A real one is sent earlier, so it gives less
 *               authority with the same effect on etcd: whoever owns in the daemon owns here too.
 *               Its answer counts for nothing and has no step; its echo takes any time it likes.
 *   release     is sent, and commits at any later moment, perhaps under the next process.
 *   takeover    the txn and the revocation in one step, at the moment they are composed: the
 *               comparison lets a later commit do nothing else, and nobody but its owner, whose
 *               links are refused from then on, looks at what is left between the two. It says
 *               that the session was waited out, so nobody waits again. A session key deleted by
 *               hand gives the revocation alone.
 *   kernel      keeps an address for its lifetime and one tick, the most that it may be late; the
 *               margin of 1.3 s is that tick. The daemon's own removal just before the deadline is
 *               left out, since the kernel's must be enough.
 *   restart     with the state directory the session is taken up, without it a new one is opened. A
 *               process that is dead for some time before is one that is paused before.
 *   orders      to release stand for shutdown, failed checks, links, priorities and transfers.
 *   NOSPACE     (-DNOSPACE) etcd takes no puts and grants, by the adversary's choice.
 *
 * BOUNDS: FAULTS acts of the adversary in a run; CAP changes on the way to a watch (etcd waits
 * while one is full); of two unapplied heartbeats of a session only the later is kept; one
 * heartbeat per tick; one release of a session under way; IDS sessions of a node in sight at once
 * (a new one is opened when no trace is left of the last but IDS).
 *
 * NOT MODELLED: drift; anything finer than a tick; several VIPs, and limits of a txn; timeouts that
 * differ; the hedged twins of a heartbeat; two processes that run with one session (the former one
 * is only its release under way); foreign candidates; hosts paused with their clocks; a restored
 * backup; announcements. A process that stops between the call that adds the address and the look
 * at the clock after it: that is under "What remains" in ARCHITECTURE.md, and spin would find it. Here
 * each write puts P/writes back, not only the first, and a node does not wait out its own keys that
 * vanish, which is less than the protocol asks.
 *
 * With two nodes, whoever takes over is the only one who might have had to wait again.
 */
#ifndef T
#define T 2
#endif
#ifndef FAULTS
#define FAULTS 2
#endif
#ifndef CAP
#define CAP 3
#endif
#ifndef IDS
#define IDS 1
#endif

/* A mutant is the model WITHOUT one rule. Marked [safety] are those up to VanishTime, Traceless and
 * Held. */
#define NoRule         0
#define SentTime       1    /* a heartbeat counts from before it was sent, not from its echo */
#define Echo           2    /* it counts only when our own watch shows it */
#define Lateness       3    /* the lifetime allows for a kernel that is late */
#define SecondLook     4    /* after the call to the kernel, another look at the clock */
#define Wait           5    /* whoever was head before is waited out */
#define FirstSnapshot  6    /* nobody knows who held the VIP just before a snapshot */
#define Removal        7    /* the address is removed before the release is sent */
#define Retired        8    /* nothing is installed under a key whose release was sent */
#define ReadNoWrites   9    /* a read counts only while P/writes/L is absent ... */
#define VanishTime     10   /* reads leave no trace: wait from the moment their session vanished */
#define ReadKey        11   /* ... and the VIP's key is present */
#define ReadOwnChain   12   /* ... and this very process wrote the end of the chain */
#define Chain          13   /* a link compares with the last revision that is ours */
#define JoinLinks      14   /* queueing up is a link of the chain, too */
#define WaitedAsHead   15   /* what is remembered as waited out was waited out at the head */
#define Silence        16   /* a session is ended once its last heartbeat is as old as its timeout */
#define Comparison     17   /* ... if no other came after it */
#define Traceless      18   /* ... and if its heartbeats leave a trace */
#define Takeover       19   /* (progress) the second takes over from a dead head */
#define Held           20   /* only a release of what was held ends every wait */
#ifndef WITHOUT
#define WITHOUT NoRule
#endif
#define RULE(r)  (WITHOUT != r)

mtype = { Opened, Beat, Joined, Released, SessionGone, KeyGone, WritesGone, Revoked, Ended };

/* ======== State ======== */

/* etcd. A queue is an octal number: session + 1 in each digit, the head in the lowest. */
bit lease[4], session[4], writes[4];
short queue;
bit no_space;

/* A node. Session s is one of node s % 2. */
typedef Node {
  chan watch = [CAP] of { mtype, byte, byte };   /* change, session, whose: No, Ours, Former */
  bit session[4], writes[4];  /* etcd as the watch has shown it */
  short queue;
  byte seen[2];               /* ticks since it saw a heartbeat of the other's session s / 2 */
  byte not_before;            /* ticks to wait */

  byte own;                   /* its session */
  bit live;                   /* it has one, as far as it knows */
  bit broken;                 /* a stranger wrote the end of its chain; it need not know yet */
  bit swapped;                /* since its start it has written the session key */
  byte echo;                  /* ticks of authority that the echo on its way is worth */
  byte read;                  /* the same for the answer to a heartbeat that was a read */
  byte authority;             /* ticks to the fencing deadline */
  byte releasing;             /* a release is under way: No, Ours or of the Former process */
  bit retired;                /* our key was given up: nothing is installed under it again */
  bit waited;                 /* on disk: not_before was waited out under our present key */
  bit held;                   /* this process has set the address under our present key */

  byte lifetime;              /* of the address, in a call to the kernel that is under way */
  byte address;               /* the kernel's: ticks that it will stay; 0: absent */
}
Node node[2];
#define No     0
#define Ours   1
#define Former 2
#define Said   4              /* ... and the release says that the VIP was held */
#define BY(by) ((by) & 3)

byte faults = FAULTS;
bit calm;                     /* PROGRESS: no more faults, and nobody is slow ... */
byte dead = 2;                /* ... but this node does nothing any more */

#ifdef SHORTEST               /* spin's breadth-first search knows no hidden variables */
#define SCRATCH
#else
#define SCRATCH hidden
#endif
SCRATCH byte i, s, former;
SCRATCH mtype change;

#define IS(Q, shift, S)   (((Q) >> shift & 7) == (S) + 1)
#define QUEUED(Q, S)      (IS(Q, 0, S) || IS(Q, 3, S) || IS(Q, 6, S) || IS(Q, 9, S))
#define HEAD(Q)           (((Q) & 7) - 1)   /* -1: nobody */

inline append(Q, S) {
  if
  :: Q == 0 -> Q = S + 1
  :: Q > 0 && Q < 8 -> Q = Q | (S + 1) << 3
#if IDS > 1
  :: Q >= 8 && Q < 64 -> Q = Q | (S + 1) << 6
  :: Q >= 64 -> Q = Q | (S + 1) << 9
#endif
  fi
}

inline cut(Q, S) {
  if
  :: IS(Q, 0, S) -> Q = Q >> 3
  :: IS(Q, 3, S) -> Q = (Q & 7) | (Q >> 6) << 3
#if IDS > 1
  :: IS(Q, 6, S) -> Q = (Q & 63) | (Q >> 9) << 6
  :: IS(Q, 9, S) -> Q = Q & 511
#endif
  :: else
  fi
}

#define RAISE(variable, value)  variable = ((value) > variable -> (value) : variable)

/* ======== etcd: what a commit does, and to whom it is told ======== */

#define COMING(n, what, S)  node[n].watch??[what, eval(S), _]
#define ROOM                (len(node[0].watch) < CAP && len(node[1].watch) < CAP)

/* A heartbeat makes up for an earlier one, unless a vanished key must be judged by that. */
#define OUTDONE(n, S)   (COMING(n, Beat, S) && ((S & 1) == n || !COMING(n, KeyGone, S)))
#define BEAT_ROOM(S)    ((len(node[0].watch) < CAP || OUTDONE(0, S)) && \
                         (len(node[1].watch) < CAP || OUTDONE(1, S)))

inline tell(what, S, by) {
  node[0].watch!what, S, by;
  node[1].watch!what, S, by
}

/* A link of the chain puts the session key, and nothing that compared with the old end commits any
 * more. (Without Chain, links compare create revisions, and a put leaves those as they are.) */
inline put(n, what, S, by) {
  for (i : 0 .. 1) {
    if
    :: OUTDONE(i, S) -> node[i].watch??Beat, eval(S), former
    :: else
    fi
  }
  writes[S] = 1;
  node[n].echo = (BY(by) == Former -> 0 : T);
  RAISE(node[n].authority, (RULE(Echo) -> 0 : node[n].echo));
  node[n].broken = (BY(by) == Former && RULE(Chain));
  node[n].swapped = (BY(by) == Ours);
  if
  :: node[n].releasing != No && RULE(Chain) && (RULE(JoinLinks) || what != Joined) ->
     node[n].releasing = No;     /* certainly refused, and the key is still ours */
     node[n].retired = 0
  :: else
  fi;
  tell(what, S, by)
}

inline heartbeat(n) { put(n, Beat, node[n].own, Ours) }
inline join(n)      { append(queue, node[n].own); put(n, Joined, node[n].own, Ours) }

inline commit_release(n) {
  s = node[n].releasing;
  node[n].releasing = No;
  if
  :: QUEUED(queue, node[n].own) -> cut(queue, node[n].own); put(n, Released, node[n].own, s)
  :: else -> put(n, Beat, node[n].own, BY(s))
  fi
}

inline close(S, how) {
  s = S;
  lease[s] = 0; session[s] = 0; writes[s] = 0;
  cut(queue, s);
  tell(how, s, No)
}

inline end_lease(S)     { close(S, Revoked) }
inline take_over(S)     { close(S, Ended) }

inline end_session(S)   { session[S] = 0; tell(SessionGone, S, No) }
inline delete_key(S)    { cut(queue, S); tell(KeyGone, S, No) }
inline delete_writes(S) { writes[S] = 0; tell(WritesGone, S, No) }

/* ======== A node: what it makes of what its watch shows ======== */

/* "Fenced": every address down at once, and start over. A session once lost never comes back. */
inline fence(n) {
  node[n].address = 0; node[n].lifetime = 0;
  node[n].live = 0; node[n].broken = 0; node[n].swapped = 0;
  node[n].waited = 0; node[n].held = 0;
  node[n].echo = 0; node[n].read = 0; node[n].authority = 0;
  node[n].releasing = No; node[n].retired = 0
}

/* "Taking a VIP": each time the head of the queue disappears. */
inline vanish(n, S, clean) {
  if
  :: HEAD(node[n].queue) == S && clean && (former & Said) -> node[n].not_before = 0
  :: HEAD(node[n].queue) == S && !clean && (S & 1) != n && RULE(Wait) ->
     RAISE(node[n].not_before,
           (!node[n].writes[S] && RULE(VanishTime) -> T : T - node[n].seen[S >> 1]))
  :: else
  fi;
  cut(node[n].queue, S);
  if
  :: node[n].live && S == node[n].own ->
     node[n].address = 0; node[n].retired = 0; node[n].waited = 0; node[n].held = 0
  :: else
  fi
}

/* A put of the session key: a heartbeat of the other node, or the echo of our own. */
inline heard(n, S) {
  node[n].writes[S] = 1;
  if
  :: (S & 1) != n -> node[n].seen[S >> 1] = 0
  :: node[n].live && S == node[n].own && BY(former) == Former -> fence(n)
  :: node[n].live && S == node[n].own && BY(former) == Ours ->
     RAISE(node[n].authority, (RULE(SentTime) -> node[n].echo : T));
     node[n].echo = 0
  :: else
  fi
}

inline apply(n) {
  node[n].watch?change, s, former;
  printf("sees %e of session %d\n", change, s);
  if
  :: change == Opened -> node[n].session[s] = 1; append(node[n].queue, s); heard(n, s)
  :: change == Beat -> heard(n, s)
  :: change == Joined -> append(node[n].queue, s); heard(n, s)
  :: change == Released -> vanish(n, s, 1); heard(n, s)
  :: change == KeyGone -> vanish(n, s, 0)
  :: change == WritesGone -> node[n].writes[s] = 0
  :: change == SessionGone -> node[n].session[s] = 0
  :: change == Revoked || change == Ended ->
     vanish(n, s, (change == Ended)); node[n].session[s] = 0; node[n].writes[s] = 0
  fi;
  if
  :: !node[n].session[s] && node[n].live && s == node[n].own -> fence(n)
  :: else
  fi;
  if   /* nothing depends on it any more */
  :: !node[n].session[s] && !QUEUED(node[n].queue, s) && (s & 1) != n -> node[n].seen[s >> 1] = T
  :: else
  fi
}

/* A first snapshot, or one after a compaction. Where our key is the one under which we had waited
 * as head, nobody can have come between. */
inline snapshot(n) {
  do
  :: len(node[n].watch) > 0 -> node[n].watch?change, s, former
  :: len(node[n].watch) == 0 -> break
  od;
  node[n].queue = queue;
  for (i : 0 .. 3) {
    node[n].session[i] = session[i];
    node[n].writes[i] = writes[i]
  }
  node[n].seen[0] = (session[1 - n] -> 0 : T);
  node[n].seen[1] = (session[3 - n] -> 0 : T);
  node[n].echo = 0;
  node[n].waited = QUEUED(queue, node[n].own) &&
    (node[n].waited || !RULE(WaitedAsHead) && node[n].not_before == 0);
  node[n].not_before = (!RULE(FirstSnapshot) || node[n].waited -> 0 : T)
}

/* ======== A node: what it does by itself ======== */

#define RUNS(n)     (node[n].lifetime == 0)   /* it is not within a call to the kernel */
#define KNOWS(n)    (node[n].live && node[n].session[node[n].own])
#define HAS_KEY(n)  QUEUED(node[n].queue, node[n].own)
#define CHAIN(n)    (session[node[n].own] && !node[n].broken)
#define REFUSED(n)  (node[n].live && !CHAIN(n))   /* as any attempt finds out */

/* One link at a time is unechoed, other than heartbeats. */
#define SETTLED(n)  (!COMING(n, Joined, node[n].own) && !COMING(n, Released, node[n].own))
#define LINKS(n)    (KNOWS(n) && CHAIN(n) && SETTLED(n) && !no_space)
#define BEATS(n)    (LINKS(n) && HAS_KEY(n) && node[n].authority < T && node[n].echo < T && \
                     BEAT_ROOM(node[n].own))
#define RELEASES(n) (KNOWS(n) && HAS_KEY(n) && node[n].releasing == No && SETTLED(n))

#define WAS_LOST(n) (node[n].retired && !COMING(n, Beat, node[n].own))

inline release(n) {
  node[n].releasing = (node[n].held || !RULE(Held) -> Ours + Said : Ours);
  node[n].retired = RULE(Retired)
}

/* "Taking a VIP", rules 1 to 3; a renewal is the same call. The clock is read here ... */
#define MARGIN      (RULE(Lateness) -> 1 : 0)
#define MAY_SET(n)  (node[n].live && HEAD(node[n].queue) == node[n].own && !node[n].retired && \
                     node[n].not_before == 0 && node[n].authority > MARGIN && \
                     node[n].address < node[n].authority)

inline set_address(n) {
  node[n].lifetime = node[n].authority - MARGIN;
  node[n].waited = 1;
  node[n].held = 1
}

/* ... the kernel acts here, perhaps much later, and the next thing is another look at the clock. */
inline address_set(n) {
  node[n].address = node[n].lifetime + 1;
  if
  :: node[n].lifetime + MARGIN > node[n].authority && RULE(SecondLook) -> node[n].address = 0
  :: else
  fi;
  node[n].lifetime = 0;
  assert(!(node[0].address && node[1].address))
}

/* "Taking over from a dead owner". The comparison: no put of his session key is yet to come. */
#define HIS(n)          HEAD(node[n].queue)
#define SEEN_ALL(n, S)  (!COMING(n, Beat, S) && !COMING(n, Joined, S) && !COMING(n, Released, S))
#define TRACES(n, S)    (node[n].writes[S] && writes[S] || !RULE(Traceless))
#define TAKES_OVER(n)   (KNOWS(n) && HAS_KEY(n) && HIS(n) != node[n].own && (HIS(n) & 1) != n && \
                         node[n].session[HIS(n)] && session[HIS(n)] && TRACES(n, HIS(n)) && \
                         (node[n].seen[HIS(n) >> 1] == T || !RULE(Silence)) && \
                         (SEEN_ALL(n, HIS(n)) || !RULE(Comparison)) && RULE(Takeover))

/* A session key is gone while keys of that lease remain: anyone's to revoke. */
#define ORPHAN(n)       (node[n].queue != 0 && !node[n].session[HIS(n)] && lease[HIS(n)])

#define NOWHERE(n, S)   (dead == n || !node[n].session[S] && !node[n].writes[S] && \
                         !QUEUED(node[n].queue, S) && !COMING(n, Opened, S))
#define NEXT(n)         (IDS > 1 -> node[n].own ^ 2 : node[n].own)
#define MAY_OPEN(n)     (!node[n].live && !no_space && !lease[NEXT(n)] && \
                         NOWHERE(0, NEXT(n)) && NOWHERE(1, NEXT(n)))

/* Lease, session key and VIP's key; the session key is the chain's first link. */
inline open(n) {
  s = NEXT(n);
  lease[s] = 1; session[s] = 1;
  append(queue, s);
  node[n].own = s; node[n].live = 1;
  put(n, Opened, s, Ours)
}

/* "When etcd takes no writes": a linearizable read of everything, and its answer, perhaps late. */
#define READS(n)        (KNOWS(n) && !node[n].writes[node[n].own] && \
                         node[n].authority < T && node[n].read < T)
#define READ_COUNTS(n)  (CHAIN(n) && (node[n].swapped || !RULE(ReadOwnChain)) && \
                         (!writes[node[n].own] || !RULE(ReadNoWrites)) && \
                         (QUEUED(queue, node[n].own) || !RULE(ReadKey)))
#define NO_WRITES(n)    (KNOWS(n) && CHAIN(n) && no_space && writes[node[n].own])

inline answered(n) { RAISE(node[n].authority, node[n].read); node[n].read = 0 }

proctype daemon(byte n) {
  { do
    :: d_step { !RUNS(n) -> address_set(n) }
    :: d_step { RUNS(n) && MAY_SET(n) -> set_address(n) }
    :: d_step { RUNS(n) && len(node[n].watch) > 0 -> apply(n) }
    :: d_step { RUNS(n) && REFUSED(n) -> fence(n) }
    :: d_step { RUNS(n) && MAY_OPEN(n) && ROOM -> open(n) }
    :: d_step { RUNS(n) && BEATS(n) -> heartbeat(n) }
    :: d_step { RUNS(n) && LINKS(n) && !HAS_KEY(n) && ROOM -> join(n) }
    :: d_step { RUNS(n) && RELEASES(n) && WAS_LOST(n) -> release(n) }
    :: d_step { RUNS(n) && TAKES_OVER(n) && ROOM -> take_over(HIS(n)) }
    :: d_step { RUNS(n) && ORPHAN(n) && ROOM -> end_lease(HIS(n)) }
#ifdef NOSPACE
    :: d_step { RUNS(n) && NO_WRITES(n) && ROOM -> delete_writes(node[n].own) }
    :: d_step { RUNS(n) && READS(n) && READ_COUNTS(n) -> node[n].read = T }
    :: d_step { RUNS(n) && node[n].read > 0 -> answered(n) }
#endif
    od
  }
#ifdef PROGRESS
  unless { dead == n };
end:
  do
  :: d_step { len(node[n].watch) > 0 -> node[n].watch?change, s, former }
  od
#endif
}

/* ======== The adversary ======== */

/* A new process takes up the session. Whose chain it is shows when either's next link commits. */
inline restart(n) {
  node[n].lifetime = 0; node[n].read = 0; node[n].authority = 0; node[n].retired = 0;
  node[n].swapped = 0; node[n].held = 0;
  node[n].releasing = (node[n].releasing == No -> No : Former + (node[n].releasing & Said));
  snapshot(n)
}

inline restart_anew(n) { fence(n); snapshot(n) }

inline compaction(n) {
  snapshot(n);
  if
  :: !node[n].live
  :: node[n].live && !CHAIN(n) -> fence(n)
  :: node[n].live && CHAIN(n) && !HAS_KEY(n) ->
     node[n].address = 0; node[n].retired = 0; node[n].held = 0
  :: node[n].live && CHAIN(n) && HAS_KEY(n)
  fi
}

/* "Giving a VIP up": the address first. */
inline resign(n) { node[n].address = (RULE(Removal) -> 0 : node[n].address); release(n) }

#define MAY         (faults > 0 && !calm)
#ifdef NARROW       /* no session, lease or queue is touched: for a mutant that is deep */
#define TOUCH       0
#else
#define TOUCH       MAY
#endif
#define ARRIVES(n)  (node[n].releasing != No && CHAIN(n) && !no_space)

proctype host(byte n) {
  do
  :: d_step { ARRIVES(n) && ROOM -> commit_release(n) }
  :: d_step { node[n].releasing != No && !calm -> node[n].releasing = No }   /* lost */
  :: d_step { MAY && RUNS(n) && RELEASES(n) -> resign(n); faults-- }
  :: d_step { MAY && node[n].live && CHAIN(n) -> restart(n); faults-- }
  :: d_step { TOUCH && node[n].live -> restart_anew(n); faults-- }
  :: d_step { TOUCH && RUNS(n) -> compaction(n); faults-- }
  od
}

/* The lease of a session that was given up ends some time. So does that of a dead node, but nobody
 * should need it unless the node's heartbeats were reads. */
#define EXPIRES(S)  (lease[S] && (!node[S & 1].live || node[S & 1].own != S || \
                                  dead == (S & 1) && !writes[S]))

proctype keys(byte S) {
  do
  :: d_step { EXPIRES(S) && ROOM -> end_lease(S) }
  :: d_step { TOUCH && lease[S] && ROOM -> end_lease(S); faults-- }
  :: d_step { TOUCH && session[S] && ROOM -> end_session(S); faults-- }
  :: d_step { TOUCH && QUEUED(queue, S) && ROOM -> delete_key(S); faults-- }
  :: d_step { MAY && writes[S] && ROOM -> delete_writes(S); faults-- }
  od
}

#define FALL(left)  left = (left > 0 -> left - 1 : 0)
#define RISE(gone)  gone = (gone < T -> gone + 1 : T)

inline tick() {
  for (i : 0 .. 1) {
    FALL(node[i].address); FALL(node[i].authority); FALL(node[i].echo); FALL(node[i].read);
    FALL(node[i].not_before);
    RISE(node[i].seen[0]); RISE(node[i].seen[1])
  }
  i = 0
}

active proctype world() {
  d_step {
    node[0].own = 2 * (IDS - 1);   /* so that the first sessions are 0 and 1 */
    node[1].own = node[0].own + 1;
    snapshot(0); snapshot(1)
  }
  atomic {
    run daemon(0); run daemon(1); run host(0); run host(1); run keys(0); run keys(1);
#if IDS > 1
    run keys(2); run keys(3)
#endif
  }
  do
  :: d_step { !calm -> tick() }
#ifdef NOSPACE
  :: d_step { MAY -> no_space = !no_space; faults-- }
#endif
#ifdef PROGRESS
  :: d_step { !calm -> calm = 1; no_space = 0 }
  :: d_step { !calm -> calm = 1; no_space = 0; dead = 0 }
  :: d_step { !calm -> calm = 1; no_space = 0; dead = 1 }
  :: calm && timeout -> d_step { tick() }   /* nobody is slow: everything else comes first */
#endif
  od
}

#ifdef PROGRESS
ltl progress { [] (calm -> <> (node[0].address > 0 || node[1].address > 0)) }
#endif
