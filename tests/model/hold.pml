/*
 * Holding on without etcd (ARCHITECTURE.md, "Holding on without etcd") as one owner under a term
 * of the peer lease, the grantors of that term, etcd, one node that wants the VIP, and an
 * adversary who delays and loses frames, pauses and restarts processes, and ends the session
 * whenever he likes. tests/model/run checks it with spin: at no moment may the owner's packets
 * pass once the other node has taken the VIP.
 *
 * TIME is one global tick: a grant lasts F ticks, the authority of a heartbeat T. Each instant is
 * kept as the ticks left until it, or gone by since it. A tick may fall between any two steps, and
 * that alone is every pause of a process, and every late frame and watch.
 *
 * WHAT STANDS FOR WHAT
 *   beat        a heartbeat, from its sending to its echo, in one step: takeover.pml has the rest.
 *               While etcd is away for the owner there is none.
 *   session     gone by a lease that ended, by hand, or ended by others for its silence.
 *   mark        the hold key. It has no lease, so it outlives the session.
 *   fence       ticks until it closes. The owner sets it whenever its process comes to it.
 *   frame       one to or from each grantor; a new request replaces the one before. Its age is that
 *               of the request. What is older than F grants nothing.
 *   grantor     knows of the end of the session, or of its silence, whenever its watch comes to it,
 *               or never.
 *   word        what a grantor said once is known to everybody for ever.
 *
 * BOUNDS: M grantors, FAULTS restarts of a grantor or of the other node. NOT MODELLED: drift, more
 * than one term (peer.pml has two), deletions outside the chain, the operator's word.
 */
#ifndef F
#define F 1
#endif
#ifndef T
#define T 2
#endif
#ifndef M
#define M 2
#endif
#ifndef FAULTS
#define FAULTS 2
#endif

#define NoRule        0
#define All           1   /* an owner holds on while all grantors grant, not a quorum */
#define Shown         2   /* ... once its own watch has shown its mark */
#define Unsettled     3   /* ... and not while a link that deletes the mark may be under way */
#define Suspect       4   /* nobody takes what the owner of a mark may hold, without a word */
#define Snapshot      5   /* ... nor does who finds a mark in a first snapshot */
#define LastGrant     6   /* a grantor gives its word F after its last grant */
#define ForGood       7   /* ... and never grants again */
#define Spokesman     8   /* a process speaks for the one before it F after its start */
#define GoneFirst     9   /* an owner deletes its mark once its addresses are gone */
#ifndef WITHOUT
#define WITHOUT NoRule
#endif
#define RULE(r)  (WITHOUT != r)
#define TO_HOLD  (RULE(All) -> M : (M + 1) / 2)

/* ======== State ======== */

/* etcd */
bit session = 1;
bit mark;
bit put;             /* under way: the link that puts the mark, ... */
bit leave;           /* ... and the one that deletes it */
bit shown;           /* the owner's watch is about to show what was put */

/* The owner. */
byte authority = T;  /* ticks that its last heartbeat leaves it */
bit counts;          /* its mark counts for holding */
bit lost;            /* it knows that its session is gone */
byte grant[M];       /* ticks that it lasts */
byte fence = T;

byte frame[M];       /* 0: none; 1 + the age of a request; F + 1 + that of a grant's request */

/* The grantors. */
byte granted[M] = F; /* ticks since the last grant, or since the process began */
bit stopped[M];
bit said[M];
bit gone[M];         /* restarted: it has another name */

/* The other node. */
byte last;           /* ticks since it saw a heartbeat, or since its first snapshot */
bit blind;           /* to marks that were there before it */
bit taken;

byte faults = FAULTS;

#ifdef SHORTEST               /* spin's breadth-first search knows no hidden variables */
byte i, n, best, limit;
#else
hidden byte i, n, best, limit;
#endif

/* ======== What follows from it ======== */

/* In ticks: the moment at which the first of those grants ends that it needs. */
inline held_until() {
  limit = 0;
  best = 1;
  do
  :: best > F -> break
  :: else ->
     n = 0;
     i = 0;
     do
     :: i == M -> break
     :: else -> if :: grant[i] >= best -> n++ :: else fi; i++
     od;
     if :: n >= TO_HOLD -> limit = best :: else fi;
     best++
  od;
  i = 0; n = 0; best = 0
}

inline set_fence() {
  limit = 0;
  if
  :: counts && !lost -> held_until()
  :: else
  fi;
  fence = (lost -> 0 : (authority > limit -> authority : limit));
  limit = 0;
  assert(!taken || fence == 0)
}

inline tick() {
  i = 0;
  do
  :: i == M -> break
  :: else ->
     if :: grant[i] > 0 -> grant[i]-- :: else fi;
     if
     :: frame[i] == 0
     :: frame[i] == F || frame[i] == 2 * F -> frame[i] = 0   /* worth nothing any more */
     :: else -> frame[i]++
     fi;
     if :: granted[i] < F -> granted[i]++ :: else fi;
     i++
  od;
  i = 0;
  if :: authority > 0 -> authority-- :: else fi;
  if :: fence > 0 -> fence-- :: else fi;
  if :: last < T -> last++ :: else fi
}

/* ======== Steps ======== */

#define SPEAKS(G)   (gone[G] -> (!RULE(Spokesman) || granted[G] == F)                         \
                             : (stopped[G] && (!RULE(LastGrant) || granted[G] == F)))
#define WORD        (said[0] || said[1] || said[M - 1])

#define GRANTOR(G)                                                                            \
  :: d_step { !lost && frame[G] != 1 -> frame[G] = 1 }                                        \
  :: d_step {                                                                                 \
       frame[G] > 0 && frame[G] <= F && !gone[G] && (!stopped[G] || !RULE(ForGood)) ->        \
         frame[G] = frame[G] + F;                                                             \
         granted[G] = 0 }                                                                     \
  :: d_step {                                                                                 \
       frame[G] > F ->                                                                        \
         if                                                                                   \
         :: 2 * F + 1 - frame[G] > grant[G] -> grant[G] = 2 * F + 1 - frame[G]                \
         :: else                                                                              \
         fi;                                                                                  \
         frame[G] = 0 }                                                                       \
  :: d_step { (!session || last == T) && !gone[G] && !stopped[G] -> stopped[G] = 1 }          \
  :: d_step { !said[G] && SPEAKS(G) -> said[G] = 1 }                                          \
  :: d_step { !gone[G] && faults > 0 -> faults--; gone[G] = 1; stopped[G] = 0; granted[G] = 0 }

active proctype world() {
  do
  GRANTOR(0)
  GRANTOR(1)
#if M > 2
  GRANTOR(2)
#endif

  /* the owner's process */
  :: d_step { set_fence() }
  :: d_step { session && !lost && last < T -> authority = T; last = 0 }
  :: d_step {
       !lost && !mark && !put && !leave && !shown ->
         put = 1;
         if :: !RULE(Shown) -> counts = 1 :: else fi }
  :: d_step { shown -> shown = 0; counts = 1 }
  :: d_step {     /* only while heartbeats come back: none of its grants lasts longer than that */
       counts && mark && !leave && !put && authority >= F ->
         leave = 1;
         if :: RULE(Unsettled) -> counts = 0 :: else fi }
  :: d_step { !session && !lost -> lost = 1; counts = 0; shown = 0 }
  :: d_step { lost && mark && (fence == 0 || !RULE(GoneFirst)) -> mark = 0 }

  /* etcd: a link commits, or another one at the same end of the chain */
  :: d_step { session && put -> put = 0; mark = 1; shown = 1 }
  :: d_step { session && put -> put = 0; counts = 0 }
  :: d_step { session && leave -> leave = 0; mark = 0; counts = 0 }
  :: d_step { session && leave -> leave = 0; counts = 1 }
  :: d_step { session -> session = 0 }

  /* the other node */
  :: d_step { faults > 0 && !taken -> faults--; last = 0; blind = mark && !RULE(Snapshot) }
  :: d_step {
       !session && last == T && !taken && (!mark || WORD || blind || !RULE(Suspect)) ->
         taken = 1;
         assert(fence == 0) }

  :: d_step { tick() }
  od
}
