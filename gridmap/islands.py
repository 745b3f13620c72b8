"""Edges of a network without which it falls apart."""

import numpy as np
import scipy.sparse


def bridge_edges(nodes, tail, head):
    """(E,) bool: edges that lie on no loop (R. E. Tarjan, "A note on finding the bridges of a graph", 1974).

    nodes: int. tail, head: (E,) int; two edges between the same nodes are a loop. An edge from a node to itself is none.
    """
    edges = len(tail)
    both = scipy.sparse.csr_array((np.tile(np.arange(edges) + 1, 2), (np.r_[tail, head], np.arange(2 * edges))), (nodes, 2 * edges))
    order, low = np.full(nodes, -1), np.zeros(nodes, int)
    bridge = np.zeros(edges, bool)
    other = np.asarray(tail) + np.asarray(head)
    clock = 0
    for root in range(nodes):
        if order[root] >= 0:
            continue
        order[root] = low[root] = clock
        clock += 1
        stack = [(root, -1, both.indptr[root])]
        while stack:  # depth first without recursion: networks are deeper than Python's stack
            node, came, at = stack.pop()
            if at < both.indptr[node + 1]:
                stack.append((node, came, at + 1))
                edge = int(both.data[at]) - 1
                to = other[edge] - node
                if edge == came:
                    continue
                if order[to] >= 0:
                    low[node] = min(low[node], order[to])
                    continue
                order[to] = low[to] = clock
                clock += 1
                stack.append((to, edge, both.indptr[to]))
            elif came >= 0:
                above = other[came] - node
                low[above] = min(low[above], low[node])
                bridge[came] = low[node] > order[above]
    return bridge
