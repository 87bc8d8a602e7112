import { Injectable, type Type } from '@nestjs/common';
import { Args, Field, ID, Int, Mutation, ObjectType, Parent, Query, ResolveField, Resolver } from '@nestjs/graphql';
import { WithLock } from '../../../lib/entries/index.js';
import { held, SCOPES, stack, type Position, type ScopeName } from './stack.js';

/** A resolver, code first; names carry the variant, since a schema is one room for all. */
export function graphResolver(position: Position, scope: ScopeName): Type {
  const name = `${position}_${scope}`;
  const at = (key: string, ...others: MethodDecorator[]) =>
    stack(position, WithLock(key) as MethodDecorator, ...others);

  @ObjectType(`Book_${name}`)
  class Book {
    @Field(() => ID)
    id!: string;
    @Field(() => String)
    under!: string;
  }

  @Injectable(SCOPES[scope])
  @Resolver(() => Book)
  class Books {
    static made = 0;
    constructor() {
      Books.made++;
    }

    @at('made', Query(() => Int, { name: `made_${name}` }))
    async made(): Promise<number> {
      return Books.made;
    }

    @at('book:{0}', Query(() => Book, { name: `book_${name}` }))
    async book(@Args('id', { type: () => ID }) id: string): Promise<Book> {
      return { id, under: held() };
    }

    @at('rename:{0}', Mutation(() => String, { name: `rename_${name}` }))
    async rename(@Args('id', { type: () => ID }) _id: string): Promise<string> {
      return held();
    }

    @at('cover:{0.id}', ResolveField('cover', () => String))
    async cover(@Parent() _book: Book): Promise<string> {
      return held();
    }
  }
  return Books;
}
