import { describe, expect, it } from '@jest/globals';
import { ClusterMap } from '../../../../lib/backends/redis/drivers/cluster-map.js';
import { addressOf, type Endpoint } from '../../../../lib/backends/redis/drivers/connection.js';

describe('the map of a cluster', () => {
  const asked = { host: '10.0.0.1', port: 7000 };
  const mapOf = (): { map: ClusterMap<string>; nodeAt: (endpoint: Endpoint) => string } => {
    const map = new ClusterMap<string>();
    return { map, nodeAt: (endpoint) => map.node(addressOf(endpoint), () => `node ${addressOf(endpoint)}`) };
  };

  it('takes over what CLUSTER SLOTS answers, replicas left aside', () => {
    const { map, nodeAt } = mapOf();
    const removed = map.replace(
      [
        [0, 100, ['10.0.0.1', 7000, 'id'], ['10.0.0.9', 7009, 'id']],
        [101, 16_383, ['::1', 7001, 'id']],
        [200, 200, ['10.0.0.1', 7000, 'id']],
      ],
      asked,
      nodeAt,
    );
    expect(removed).toEqual([]);
    expect([0, 100, 101, 199, 200, 201, 16_383].map((slot) => map.at(slot))).toEqual([
      'node 10.0.0.1:7000',
      'node 10.0.0.1:7000',
      'node [::1]:7001',
      'node [::1]:7001',
      'node 10.0.0.1:7000',
      'node [::1]:7001',
      'node [::1]:7001',
    ]);
    expect(map.masters()).toEqual(['node 10.0.0.1:7000', 'node [::1]:7001']);
  });

  it.each([[null], [''], ['?']])('a host that a node does not know, %p, is where it was asked', (host) => {
    const { map, nodeAt } = mapOf();
    map.replace([[0, 0, [host, 7005, 'id']]], asked, nodeAt);
    expect(map.at(0)).toBe('node 10.0.0.1:7005');
    expect(map.at(1)).toBeUndefined();
  });

  it('names the nodes that have no slot any more, and forgets them', () => {
    const { map, nodeAt } = mapOf();
    map.replace([[0, 5, ['a', 1, 'id']]], asked, nodeAt);
    map.set(3, nodeAt({ host: 'b', port: 2 }));
    expect(map.masters()).toEqual(['node a:1', 'node b:2']);
    expect(map.replace([[0, 5, ['b', 2, 'id']]], asked, nodeAt)).toEqual(['node a:1']);
    expect(map.nodes()).toEqual(['node b:2']);
    expect(map.replace([], asked, nodeAt)).toEqual(['node b:2']);
    expect(map.masters()).toEqual([]);
  });
});
