import { ApolloDriver, type ApolloDriverConfig } from '@nestjs/apollo';
import { Module } from '@nestjs/common';
import { GraphQLModule } from '@nestjs/graphql';
import { DflockdModule } from 'nestjs-dflockd';
import { SeatsResolver } from './seats.resolver.js';

@Module({
  imports: [
    GraphQLModule.forRoot<ApolloDriverConfig>({ driver: ApolloDriver, autoSchemaFile: true }),
    DflockdModule.forRoot({ embedded: true }), // several instances: { servers: ['127.0.0.1:6388'] }
  ],
  providers: [SeatsResolver],
})
export class AppModule {}
